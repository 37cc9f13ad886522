"""Histograms of columns that can be added up: the training's is the reference, and whatever comes
later is counted with its edges. NumPy only: it runs in the training and the serving environment.

A number column's bins hold about equal shares of the reference. A value that is frequent, or every
value where few differ (`is_discrete`), has a bin of its own: whole numbers are counted exactly.
Bin i holds `edges[i] <= x < edges[i + 1]`; the last holds its upper edge too, and an upper edge
equal to the lower makes a bin of one value. `below` and `above` count what lies outside the
reference's range, infinities included; `below_sum` and `above_sum` how far outside, in sum, which
keeps the Wasserstein distance exact out there. NaN and None are `missing`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Column = dict[str, Any]
Histograms = dict[str, Any]

VERSION = 1
BINS = 256
# A category column keeps this many; the rest of a wild one counts as unseen from the start.
MAX_CATEGORIES = 1_000
NUMBERS = frozenset({"number", "integer"})
PREDICTION = "__prediction__"


def build_reference(
    columns: Mapping[str, npt.ArrayLike], kinds: Mapping[str, str], *, bins: int = BINS
) -> Histograms:
    """The reference of a training: {"version", "rows", "columns": {name: histogram}}, plain JSON.

    `kinds` are a signature's: number, integer, boolean or category, for every column.
    """
    made: dict[str, Column] = {}
    rows = 0
    for name, values in columns.items():
        rows = max(rows, len(np.asarray(values)))
        if kinds[name] in NUMBERS:
            made[name] = _number_reference(values, bins)
        else:
            made[name] = _category_reference(values, is_boolean=kinds[name] == "boolean")
    return {"version": VERSION, "rows": rows, "columns": made}


def count(reference: Histograms, columns: Mapping[str, npt.ArrayLike]) -> Histograms:
    """The same shape with the counts of other rows, for those of its columns that are given."""
    counted = {
        name: count_column(column, columns[name])
        for name, column in reference["columns"].items()
        if name in columns
    }
    rows = max((len(np.asarray(columns[name])) for name in counted), default=0)
    return {"version": VERSION, "rows": rows, "columns": counted}


def count_column(reference: Column, values: npt.ArrayLike) -> Column:
    """One column's histogram, by the reference's edges or categories."""
    if reference["kind"] == "number":
        sorted_values, missing = sort_numbers(values)
        return count_sorted(reference, sorted_values, missing)
    texts, missing = count_texts(values)
    return count_categories(reference, texts, missing)


def sort_numbers(values: npt.ArrayLike) -> tuple[Floats, int]:
    """A sorted copy without the missing ones, and how many those were. Sorting first makes every
    later count a few binary searches, and costs less than placing each value in a bin."""
    array = _as_floats(values)
    array = np.sort(array, axis=None)
    # NaN sorts last.
    present = len(array) - int(np.isnan(array[-1:]).any() and np.isnan(array).sum())
    return array[:present], len(array) - present


def count_sorted(reference: Column, values: Floats, missing: int) -> Column:
    """Count sorted numbers by the reference's edges."""
    edges = np.asarray(reference["edges"], dtype=np.float64)
    if not len(edges):
        # The reference had no value at all: whatever comes is outside of it.
        return _number([], [], missing=missing, above=len(values))
    starts = np.searchsorted(values, edges[:-1], side="left")
    below = int(starts[0])
    end = int(np.searchsorted(values, edges[-1], side="right"))
    counts = np.diff(np.append(starts, end))
    return _number(
        reference["edges"],
        counts.tolist(),
        missing=missing,
        below=below,
        above=len(values) - end,
        below_sum=_finite_sum(edges[0] - values[:below]),
        above_sum=_finite_sum(values[end:] - edges[-1]),
    )


def count_texts(values: Any) -> tuple[Counter[str], int]:
    """How often each text occurs, and how many are missing. Flags become `false` and `true`."""
    plain = values.tolist() if isinstance(values, np.ndarray) else list(values)
    texts: Counter[str] = Counter()
    missing = 0
    for value, times in Counter(plain).items():
        if value is None or value != value:
            missing += times
        else:
            texts[_text(value)] += times
    return texts, missing


def count_categories(reference: Column, texts: Mapping[str, int], missing: int) -> Column:
    """Histogram of counted texts, by the reference's categories."""
    if reference.get("is_boolean"):
        texts = _as_flags(texts)
    counts = [int(texts.get(each, 0)) for each in reference["categories"]]
    return {
        "kind": "category",
        "categories": reference["categories"],
        "counts": counts,
        "missing": int(missing),
        "unseen": sum(texts.values()) - sum(counts),
    }


def merge(a: Histograms, b: Histograms) -> Histograms:
    """Add up two counts made with the same reference."""
    names = [*a["columns"], *(name for name in b["columns"] if name not in a["columns"])]
    columns = {}
    for name in names:
        pair = [each["columns"][name] for each in (a, b) if name in each["columns"]]
        columns[name] = pair[0] if len(pair) == 1 else merge_columns(*pair)
    return {"version": VERSION, "rows": a["rows"] + b["rows"], "columns": columns}


def merge_columns(a: Column, b: Column) -> Column:
    """Add up two histograms of one column. Raise ValueError when their edges differ."""
    ends = "edges" if a["kind"] == "number" else "categories"
    if a["kind"] != b["kind"] or a[ends] != b[ends]:
        raise ValueError("these histograms were not made with the same reference")
    added = {
        key: a[key] + b[key]
        for key in ("missing", "below", "above", "below_sum", "above_sum", "unseen")
        if key in a and key in b
    }
    counts = [x + y for x, y in zip(a["counts"], b["counts"], strict=True)]
    return {"kind": a["kind"], ends: a[ends], "counts": counts, **added}


def total(column: Column) -> int:
    """How many rows were counted in it, the missing included."""
    outside = ("missing", "below", "above", "unseen")
    return int(sum(column["counts"]) + sum(column.get(each, 0) for each in outside))


def present(column: Column) -> int:
    """How many values were counted in it."""
    return total(column) - int(column["missing"])


def _number_reference(values: npt.ArrayLike, bins: int) -> Column:
    sorted_values, missing = sort_numbers(values)
    low, high = np.searchsorted(sorted_values, [-np.inf, np.inf], side="left")
    low = int(np.searchsorted(sorted_values, -np.inf, side="right"))
    finite = sorted_values[low : int(high)]
    edges, is_discrete = _edges(finite, bins)
    column = count_sorted({"kind": "number", "edges": edges}, sorted_values, missing)
    column["is_discrete"] = is_discrete
    has_values = len(finite) > 0
    column["mean"] = float(finite.mean()) if has_values else None
    column["std"] = float(finite.std()) if has_values else None
    return column


def _edges(values: Floats, bins: int) -> tuple[list[float], bool]:
    """Edges of about equal shares of sorted, finite values; frequent values get their own bin.
    True where few values differ, each of which has one."""
    if not len(values):
        return [], False
    is_new = np.concatenate(([True], values[1:] != values[:-1]))
    if int(is_new.sum()) <= bins:
        edges = values[is_new]
        # A small sample of anything has few values, too; where few differ they come again.
        return [*edges.tolist(), float(edges[-1])], len(values) >= 4 * len(edges)
    last = len(values) - 1
    even = np.linspace(0, last, bins + 1).round().astype(np.int64)
    # Finer and finer towards both ends, where a few values may span most of the range.
    steps = 2 ** np.arange(0, int(np.log2(max(last // bins, 1))) + 1)
    at = values[np.concatenate((even, steps, last - steps))]
    at.sort()
    evenly = values[even]
    frequent = np.unique(evenly[1:][evenly[1:] == evenly[:-1]])
    # Just above a frequent value its bin ends, so that its neighbours are told from it.
    edges = np.unique(np.concatenate((at, np.nextafter(frequent, np.inf))))
    kept = [each for each in edges.tolist() if each <= at[-1]]
    return kept + kept[-1:] * bool(kept[-1] in frequent), False


def _category_reference(values: Any, *, is_boolean: bool) -> Column:
    texts, missing = count_texts(values)
    if is_boolean:
        texts = Counter(_as_flags(texts))
        categories = ["false", "true"]
    else:
        categories = sorted(each for each, _ in texts.most_common(MAX_CATEGORIES))
    base: Column = {"kind": "category", "categories": categories}
    if is_boolean:
        base["is_boolean"] = True
    return {**base, **count_categories(base, texts, missing)}


def _number(
    edges: list[float],
    counts: list[int],
    *,
    missing: int = 0,
    below: int = 0,
    above: int = 0,
    below_sum: float = 0.0,
    above_sum: float = 0.0,
) -> Column:
    return {
        "kind": "number",
        "edges": edges,
        "counts": counts,
        "missing": int(missing),
        "below": int(below),
        "above": int(above),
        "below_sum": below_sum,
        "above_sum": above_sum,
    }


def _as_floats(values: npt.ArrayLike) -> Floats:
    array = np.asarray(values)
    if array.dtype == object:
        array = np.array([np.nan if each is None else each for each in array], dtype=np.float64)
    return np.asarray(array, dtype=np.float64)


def _finite_sum(distances: Floats) -> float:
    return float(distances[np.isfinite(distances)].sum())


def _text(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return str(value)


def _as_flags(texts: Mapping[str, int]) -> dict[str, int]:
    """Flags that came as numbers, in the words of flags."""
    words = {"0": "false", "0.0": "false", "1": "true", "1.0": "true"}
    flags: Counter[str] = Counter()
    for text, times in texts.items():
        flags[words.get(text, text)] += times
    return dict(flags)


def names_of(reference: Histograms, kinds: Iterable[str] = ("number", "category")) -> list[str]:
    """The names of the reference's columns of these kinds, in order."""
    wanted = set(kinds)
    return [name for name, each in reference["columns"].items() if each["kind"] in wanted]
