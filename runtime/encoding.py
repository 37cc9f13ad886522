"""From rows to the matrix a model takes: the same code when training, converting and serving, so
that they cannot differ.

A signature is plain JSON:
```
{"task": "classification" | "regression",
 "classes": ["0", "1"],         classification: the labels as text, in the order of probabilities
 "positive": "1",               two classes: the one whose probability is the prediction
 "inputs": [{"name", "kind": "number" | "integer" | "boolean" | "category",
             "is_nullable": true, "categories": ["a", …]}],
 "keys": [{"name", "kind": "integer" | "text"}]}   what names a row; no input
```
The matrix is float32, a row for each row, a column for each input in order. Numbers missing are
NaN; a category is its place in `categories`, -1 where it is missing or was never seen.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Signature = Mapping[str, Any]
MAX_FLOAT32 = float(np.finfo(np.float32).max)
# From here on a number is rounded to infinity, not to the greatest float32.
TOO_LARGE = 2.0**128 - 2.0**103
NUMBERS = frozenset({int, float})
NUMBERS_OR_NONE = frozenset({int, float, type(None)})


class RowError(ValueError):
    """A row does not fit the signature. `row` counts from 0; `field` is the column's name."""

    def __init__(self, row: int, field: str, text: str) -> None:
        super().__init__(text)
        self.row, self.field, self.text = row, field, text


class Encoder:
    """Encodes rows by a signature. Built once; safe to share between threads."""

    def __init__(self, signature: Signature) -> None:
        self.names = [str(each["name"]) for each in signature["inputs"]]
        self._kinds = [str(each["kind"]) for each in signature["inputs"]]
        self._nullable = [bool(each.get("is_nullable", True)) for each in signature["inputs"]]
        self._places = [
            {str(text): place for place, text in enumerate(each.get("categories") or ())}
            for each in signature["inputs"]
        ]
        self.keys = [str(each["name"]) for each in signature.get("keys", ())]
        self._known = frozenset([*self.names, *self.keys])
        # What the short way below needs. One name alone would make itemgetter give no tuple.
        self._take = itemgetter(*self.names) if len(self.names) > 1 else None
        self._is_nullable = all(self._nullable)
        self._coded = [
            (place, kind, self._places[place])
            for place, kind in enumerate(self._kinds)
            if kind != "number"
        ]
        self._pack = struct.Struct(f"={len(self.names)}f").pack

    def encode_rows(self, rows: Sequence[Mapping[str, Any]]) -> Matrix:
        """Rows of JSON values to the matrix. Raise RowError for a missing, unknown or wrong one."""
        packed = [
            self.pack_row(row) or self._pack(*self._read_row(number, row))
            for number, row in enumerate(rows)
        ]
        matrix = np.frombuffer(bytearray().join(packed), dtype=np.float32)
        return matrix.reshape(len(rows), len(self.names))

    def pack_row(self, row: Mapping[str, Any]) -> bytes | None:
        """The row of the matrix, as bytes, when all is plainly in order, by steps that are C's;
        else None.

        It is taken for every row that is served: `_read_row` says the same, slowly, and says why.
        """
        if self._take is None or type(row) is not dict:
            return None
        try:
            values: Sequence[Any] = self._take(row)
        except KeyError:
            return None
        more = len(row) - len(values)
        if more and more != sum([key in row for key in self.keys]):
            return None
        if self._coded and (values := self._code(values)) is None:
            return None
        sent = values
        if not NUMBERS.issuperset(map(type, values)):
            if not self._is_nullable or not NUMBERS_OR_NONE.issuperset(map(type, values)):
                return None
            sent = [value for value in values if value is not None]
            values = [np.nan if value is None else value for value in values]
        try:
            # A NaN or an infinity among the numbers is one in the sum.
            total = sum(sent)
            return self._pack(*values) if total - total == 0 else None
        except (OverflowError, struct.error):
            return None

    def _code(self, values: Sequence[Any]) -> Any:
        """The values with categories and flags as numbers; None when one is of another type."""
        coded = list(values)
        for place, kind, places in self._coded:
            value = coded[place]
            if kind == "category" and type(value) is str:
                coded[place] = places.get(value, -1)
            elif kind == "boolean" and type(value) is bool:
                coded[place] = int(value)
            elif kind != "integer" or type(value) is not int:
                return None
        return coded

    def _read_row(self, number: int, row: Mapping[str, Any]) -> list[float]:
        if not isinstance(row, Mapping):
            raise RowError(number, "", "A row is an object: names of inputs with their values.")
        if unknown := row.keys() - self._known:
            name = min(map(str, unknown))
            raise RowError(number, name, f"{name} is not an input of this model. Leave it out.")
        values = []
        for place, name in enumerate(self.names):
            if name not in row:
                raise RowError(number, name, f"{name} is missing. Send it, or null if unknown.")
            values.append(self._value(number, place, row[name]))
        return values

    def _value(self, number: int, place: int, value: Any) -> float:
        kind, name = self._kinds[place], self.names[place]
        if value is None:
            if not self._nullable[place]:
                raise RowError(number, name, f"{name} must not be null.")
            return -1.0 if kind == "category" else np.nan
        if kind == "category":
            if not isinstance(value, str):
                raise RowError(number, name, f"{name} is a text; send one.")
            return float(self._places[place].get(value, -1))
        is_flag = isinstance(value, bool)
        if kind == "boolean":
            if not is_flag:
                raise RowError(number, name, f"{name} is true or false; send one of them.")
            return float(value)
        if is_flag or not isinstance(value, int | float):
            raise RowError(number, name, f"{name} is a number; send one.")
        if not -TOO_LARGE < value < TOO_LARGE:
            raise RowError(number, name, f"{name} is too large a number, or none.")
        if kind == "integer" and value != int(value):
            raise RowError(number, name, f"{name} is a whole number; send one.")
        return float(value)

    def encode_columns(self, columns: Mapping[str, Any], rows: int) -> Matrix:
        """Columns (NumPy arrays of numbers, or sequences of texts for categories; missing as NaN
        or None) to the matrix. For data that has been checked already."""
        matrix = np.empty((rows, len(self.names)), dtype=np.float32)
        for place, name in enumerate(self.names):
            if self._kinds[place] == "category":
                matrix[:, place] = self._codes(place, columns[name])
            else:
                matrix[:, place] = np.asarray(columns[name], dtype=np.float64)
        return matrix

    def _codes(self, place: int, texts: Iterable[Any]) -> npt.NDArray[np.float64]:
        places = self._places[place]
        return np.array(
            [-1 if text is None else places.get(str(text), -1) for text in texts], float
        )
