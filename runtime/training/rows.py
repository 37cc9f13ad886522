"""From a dataset version's Parquet files to features, target and keys, or a plain refusal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from runtime.encoding import MAX_FLOAT32
from runtime.job import JobError

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Values = npt.NDArray[Any]
MAX_CATEGORIES = 1_000
MAX_CLASSES = 100
NO_ROWS = "The dataset version holds no rows. Fill it, then train."
FITTING: Mapping[str, frozenset[str]] = {
    "number": frozenset({"number", "integer", "boolean"}),
    "integer": frozenset({"integer", "number"}),
    "boolean": frozenset({"boolean"}),
    "category": frozenset({"category", "integer", "boolean"}),
}


@dataclass
class Rows:
    """The rows a training is about, in the order of their keys, or else of the dataset version.

    `numbers` are their places in it. `y` is the class's place in `classes`, or the number.
    """

    table: pa.Table
    numbers: Places
    y: Floats
    classes: list[str] = field(default_factory=list)
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.numbers)


def read_rows(files: Sequence[str], asked: Mapping[str, Any]) -> Rows:
    """The rows that have a target; of too many, a drawn part. Raise JobError."""
    if not files:
        raise JobError(NO_ROWS, field="dataset")
    source = ds.dataset(list(files), format="parquet")
    _refuse_unknown(source.schema.names, asked)
    table = source.to_table(columns=_needed(source.schema, asked))
    places = np.arange(len(table))
    if asked["keys"]:
        # The same rows written in another order must come to the same model.
        by = [(name, "ascending") for name in asked["keys"]]
        places = pc.sort_indices(table, by).to_numpy().astype(np.int64)
        table = table.take(pa.array(places))
    target = table[asked["target"]]
    missing = target.is_null(nan_is_null=True).to_numpy()
    if len(table) == 0:
        raise JobError(NO_ROWS, field="dataset")
    if missing.all():
        text = f"{asked['target']} is missing in every row. Name a target that has values."
        raise JobError(text, field="target")
    kept = np.flatnonzero(~missing)
    if asked.get("max_rows") and len(kept) > asked["max_rows"]:
        drawn = np.random.default_rng(asked["seed"]).permutation(kept)[: asked["max_rows"]]
        kept = np.sort(drawn)
    if len(kept) < len(table):
        table = table.take(pa.array(kept))
    read = read_classes if asked["task"] == "classification" else read_numbers
    y, classes = read(asked["target"], table[asked["target"]])
    return Rows(table, places[kept], y, classes, int(missing.sum()))


def _refuse_unknown(known: Sequence[str], asked: Mapping[str, Any]) -> None:
    for field_name in ("target", "features", "keys", "baselines"):
        said = asked.get(field_name) or ()
        for name in [said] if isinstance(said, str) else said:
            if name not in known:
                text = f"The data has no column {name}. Its columns: {', '.join(known[:50])}."
                raise JobError(text, field=field_name)


def _needed(schema: pa.Schema, asked: Mapping[str, Any]) -> list[str]:
    """Only what is learned from or told: a table may have many columns more."""
    if asked.get("features") is None:
        return list(schema.names)
    extra = [asked["target"], *asked["keys"], *asked["baselines"]]
    if asked["split"]["by"] == "time":
        extra.append(asked["split"]["column"])
    return list(dict.fromkeys([*asked["features"], *extra]))


def kind_of(kind: pa.DataType) -> str:
    """What a column can be to a model: "" for what it cannot learn from, such as times."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return "category" if is_text else ""


def read_classes(name: str, target: pa.ChunkedArray) -> tuple[Floats, list[str]]:
    """Places in the sorted list of classes, and that list, as text."""
    kind = kind_of(target.type)
    if not kind:
        text = f"{name} is a {target.type}, which has no classes. Name another target."
        raise JobError(text, field="target")
    if kind == "number":
        numbers = as_numbers(target)
        if (numbers != np.floor(numbers)).any():
            text = f"{name} holds fractions, so it has no classes. Set task to regression."
            raise JobError(text, field="task")
        target = pa.chunked_array([pa.array(numbers.astype(np.int64))])
    texts = as_texts(target)
    classes = sorted(set(texts), key=int if kind in ("integer", "number") else str)
    if len(classes) == 1:
        text = f"{name} is {classes[0]!r} in every row: there is nothing to learn. Name another."
        raise JobError(text, field="target")
    if len(classes) > MAX_CLASSES:
        text = f"{name} has {len(classes):,} classes; {MAX_CLASSES} are the most. "
        raise JobError(text + "Group rare ones, or set task to regression.", field="target")
    places = {each: place for place, each in enumerate(classes)}
    return np.array([places[each] for each in texts], dtype=np.float64), classes


def read_numbers(name: str, target: pa.ChunkedArray) -> tuple[Floats, list[str]]:
    if kind_of(target.type) not in ("integer", "number"):
        text = f"{name} is a {target.type}, not a number. Cast it, or set task to classification."
        raise JobError(text, field="target")
    numbers = as_numbers(target)
    if not np.isfinite(numbers).all():
        raise JobError(f"{name} holds infinite numbers. Filter those rows out.", field="target")
    if (numbers == numbers[0]).all():
        text = f"{name} is {numbers[0]:g} in every row: there is nothing to learn. Name another."
        raise JobError(text, field="target")
    return numbers, []


def as_numbers(column: pa.ChunkedArray) -> Floats:
    """float64, missing as NaN."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def as_texts(column: pa.ChunkedArray) -> Values:
    """Texts, missing as None."""
    return np.asarray(column.cast(pa.string()).to_numpy(zero_copy_only=False), dtype=object)


def as_column(column: pa.ChunkedArray, kind: str) -> Values:
    return as_texts(column) if kind == "category" else as_numbers(column)


@dataclass
class Features:
    """What is learned from: kinds and categories, by name, in order; notes on what was left out."""

    kinds: dict[str, str]
    categories: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def signature(self, rows: Rows, asked: Mapping[str, Any]) -> dict[str, Any]:
        """See `runtime.encoding`."""
        inputs = [
            {"name": name, "kind": kind, "is_nullable": True}
            | ({"categories": self.categories[name]} if kind == "category" else {})
            for name, kind in self.kinds.items()
        ]
        keys = [
            {"name": name, "kind": _key_kind(name, rows.table.schema.field(name).type)}
            for name in asked["keys"]
        ]
        made: dict[str, Any] = {"task": asked["task"], "inputs": inputs, "keys": keys}
        if asked["task"] == "classification":
            made["classes"] = rows.classes
        if len(rows.classes) == 2:
            made["positive"] = rows.classes[positive_place(rows.classes, asked)]
        return made


def positive_place(classes: Sequence[str], asked: Mapping[str, Any]) -> int:
    """Which of the classes is the positive one: as told, else the last."""
    told = asked.get("positive")
    if told is None:
        return len(classes) - 1
    if told not in classes:
        text = f"{asked['target']} has no class {told!r}. Its classes: {', '.join(classes[:20])}."
        raise JobError(text, field="positive")
    return list(classes).index(told)


def _key_kind(name: str, kind: pa.DataType) -> str:
    found = kind_of(kind)
    if found in ("number", "boolean") or (not found and not pa.types.is_temporal(kind)):
        text = f"{name} is a {kind}, which names no row. Use a whole number, a text or a date."
        raise JobError(text, field="keys")
    return "integer" if found == "integer" else "text"


def choose_features(rows: Rows, train: Places, asked: Mapping[str, Any]) -> Features:
    """The columns to learn from. What was named and cannot be is refused; of the columns taken
    because nothing was named, it is left out with a note. Categories are those of `train`."""
    apart = {asked["target"], *asked["keys"]}
    if asked["split"]["by"] == "time":
        apart.add(asked["split"]["column"])
    named = asked.get("features")
    names = named if named is not None else [n for n in rows.table.column_names if n not in apart]
    chosen = Features({})
    for name in names:
        try:
            _add_feature(chosen, name, rows.table[name], train, asked)
        except JobError as error:
            if named is not None:
                raise
            chosen.notes.append(f"Left out: {error.message}")
    if not chosen.kinds:
        text = "No column is left to learn from. " + " ".join(chosen.notes[:5])
        raise JobError(text, field="features")
    return chosen


def _add_feature(
    chosen: Features, name: str, column: pa.ChunkedArray, train: Places, asked: Mapping[str, Any]
) -> None:
    found = kind_of(column.type)
    if not found:
        text = f"{name} is a {column.type}; derive a number or a text from it in a pipeline."
        raise JobError(text, field="features")
    kind = asked["kinds"].get(name, found)
    if found not in FITTING[kind]:
        text = f"{name} is a {column.type}, so it cannot be of kind {kind}. Cast it first."
        raise JobError(text, field=f"kinds.{name}")
    values = as_column(column, kind)
    if kind == "category":
        chosen.categories[name] = _categories(name, values[train])
    else:
        _refuse_unusable(name, kind, values, train)
    chosen.kinds[name] = kind


def _categories(name: str, values: Values) -> list[str]:
    known = sorted({each for each in values if each is not None})
    if not known:
        raise JobError(f"{name} is missing in every training row.", field="features")
    if len(known) > MAX_CATEGORIES:
        text = f"{name} has {len(known):,} different texts; {MAX_CATEGORIES:,} are the most. "
        raise JobError(text + "Group rare ones in a pipeline, or leave it out.", field="features")
    return known


def _refuse_unusable(name: str, kind: str, values: Floats, train: Places) -> None:
    if np.isnan(values[train]).all():
        raise JobError(f"{name} is missing in every training row.", field="features")
    # NaN is missing, and compares false.
    too_large = int((np.abs(values) > MAX_FLOAT32).sum())
    if too_large:
        text = f"{name} is infinite or too large for a model in {too_large:,} rows. "
        raise JobError(text + "Clip it in a pipeline, or leave it out.", field="features")
    present = values[~np.isnan(values)]
    if kind == "integer" and (present != np.floor(present)).any():
        raise JobError(f"{name} holds fractions; its kind is number.", field=f"kinds.{name}")


def columns_of(rows: Rows, kinds: Mapping[str, str]) -> dict[str, Values]:
    """The features' values, as the encoder and the drift reference take them."""
    return {name: as_column(rows.table[name], kind) for name, kind in kinds.items()}


def json_rows(rows: Rows, signature: Mapping[str, Any], places: Iterable[int]) -> list[Any]:
    """Some rows as a client would send them."""
    names = [each["name"] for each in (*signature["inputs"], *signature["keys"])]
    kinds = {each["name"]: each["kind"] for each in (*signature["inputs"], *signature["keys"])}
    few = rows.table.select(list(dict.fromkeys(names))).take(pa.array(list(places)))
    told = {name: _json_column(few[name], kinds[name]) for name in few.column_names}
    return [{name: told[name][row] for name in told} for row in range(len(few))]


def _json_column(column: pa.ChunkedArray, kind: str) -> list[Any]:
    if kind in ("category", "text"):
        return [None if each is None else str(each) for each in as_texts(column)]
    numbers = [None if np.isnan(each) else float(each) for each in as_numbers(column)]
    if kind == "boolean":
        return [None if each is None else bool(each) for each in numbers]
    if kind == "integer":
        whole = pc.cast(column, pa.int64(), safe=False).to_pylist()
        return [
            None if number is None else each for number, each in zip(numbers, whole, strict=True)
        ]
    return numbers
