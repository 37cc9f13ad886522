"""Features that give the target away: a score made with one is worth nothing.

A feature leaks when it alone tells every training row's target: equal to it, in the same order (or
the opposite one) without exception, one class or number for each of its few values, or missing
exactly where the target is one class.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.job import JobError
from runtime.training.rows import Floats, Places, Rows, Values

# With more values than this share of the rows, one row for each value is no surprise.
FEW_VALUES = 0.2
SURELY_LINEAR = 1 - 1e-9


def refuse_leaks(
    rows: Rows,
    columns: Mapping[str, Values],
    kinds: Mapping[str, str],
    train: Places,
    asked: Mapping[str, Any],
) -> list[str]:
    """Raise JobError for the first feature that leaks and is not allowed to; returns notes."""
    notes = []
    y = rows.y[train]
    for name, kind in kinds.items():
        values = columns[name][train]
        how = _gives_away(values, kind, y, is_classes=bool(rows.classes))
        if not how:
            continue
        if name not in asked["allow_leakage"]:
            text = f"{name} {how} of {asked['target']}: it gives the target away. Leave it out of "
            text += "the features, or list it in allow_leakage if it is known in time."
            raise JobError(text, field="features")
        notes.append(f"Kept, though it {how} of {asked['target']}: {name}.")
    return notes


def _gives_away(values: Values, kind: str, y: Floats, *, is_classes: bool) -> str:
    """How, in words that go on "of <target>"; "" when it does not."""
    if kind == "category":
        codes = _codes(values)
        return "has one value for each" if _is_pure(codes, y) else ""
    is_missing = np.isnan(values)
    present, target = values[~is_missing], y[~is_missing]
    if is_classes and is_missing.any() and _is_pure(is_missing.astype(np.int64), y):
        return "is missing exactly by the value"
    if len(present) < 2 or is_missing.mean() > 0.5 or (target == target[0]).all():
        return ""
    codes = np.unique(present, return_inverse=True)[1]
    if _is_pure(codes, target):
        return "has one value for each"
    if is_classes:
        return "separates every row" if _separates(present, target) else ""
    return "is a straight line" if _is_linear(present, target) else ""


def _codes(values: Values) -> Places:
    places: dict[Any, int] = {}
    return np.array([places.setdefault(each, len(places)) for each in values], dtype=np.int64)


def _is_pure(codes: Places, y: Floats) -> bool:
    """Each of few values goes with one target, and there is more than one target."""
    count = int(codes.max()) + 1
    if count < 2 or count > FEW_VALUES * len(codes):
        return False
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, codes, y)
    np.maximum.at(high, codes, y)
    return bool((low == high).all() and low.min() != low.max())


def _separates(values: Floats, y: Floats) -> bool:
    """Sorted by the feature, each class is one unbroken stretch, and no value is in two."""
    classes = np.unique(y)
    ends = sorted((values[y == each].min(), values[y == each].max()) for each in classes)
    return all(before[1] < after[0] for before, after in pairwise(ends))


def _is_linear(values: Floats, y: Floats) -> bool:
    if values.std() == 0 or y.std() == 0:
        return False
    return bool(abs(np.corrcoef(values, y)[0, 1]) > SURELY_LINEAR)


def constant(columns: Mapping[str, Values], train: Places) -> list[str]:
    """Features that are the same in every training row: of no use, and worth a word."""

    def is_constant(values: npt.NDArray[Any]) -> bool:
        if values.dtype == object:
            return len(set(values)) == 1
        return bool((values == values[0]).all())

    return [name for name, values in columns.items() if is_constant(values[train])]
