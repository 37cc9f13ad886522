"""Which rows are learned from, which choose, which judge. The same seed gives the same split."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from runtime.job import JobError
from runtime.training.rows import Floats, Places, Rows, as_numbers, kind_of

MIN_TRAIN_ROWS = 50
MIN_CLASS_ROWS = 10
DAY_MICROSECONDS = 86_400_000_000


@dataclass
class Split:
    """Places of rows. `folds` are (learn, predict) pairs that together predict every row."""

    train: Places
    validation: Places
    test: Places
    folds: list[tuple[Places, Places]] = field(default_factory=list)
    dropped: int = 0

    def judged(self) -> dict[str, Places]:
        """The parts that are scored, by name."""
        parts = {"validation": self.validation, "test": self.test}
        return {name: places for name, places in parts.items() if len(places)}

    @property
    def evaluation(self) -> str:
        """The part that the honest score is told of."""
        return "test" if len(self.test) else "validation"


def make_split(rows: Rows, asked: Mapping[str, Any]) -> Split:
    """Raise JobError where a part has too little to learn from or to be judged by."""
    told = asked["split"]
    made = {"random": _random, "time": _by_time, "kfold": _kfold}[told["by"]](rows, asked)
    _refuse_thin(rows, made, asked)
    return made


def _groups(rows: Rows, is_stratified: bool) -> list[Places]:
    if not (is_stratified and rows.classes):
        return [np.arange(len(rows))]
    return [np.flatnonzero(rows.y == place) for place in range(len(rows.classes))]


def _random(rows: Rows, asked: Mapping[str, Any]) -> Split:
    told = asked["split"]
    shares = told["fractions"]
    draw = np.random.default_rng(told["seed"])
    parts: list[list[Places]] = [[], [], []]
    for group in _groups(rows, told["stratify"]):
        mixed = draw.permutation(group)
        ends = np.cumsum([shares["train"], shares["validation"]]) * len(mixed)
        for part, places in zip(parts, np.split(mixed, np.round(ends).astype(int)), strict=True):
            part.append(places)
    train, validation, test = (np.sort(np.concatenate(part)) for part in parts)
    return Split(train, validation, test)


def _kfold(rows: Rows, asked: Mapping[str, Any]) -> Split:
    told = asked["split"]
    draw = np.random.default_rng(told["seed"])
    fold_of = np.empty(len(rows), dtype=np.int64)
    for group in _groups(rows, is_stratified=True):
        fold_of[draw.permutation(group)] = np.arange(len(group)) % told["k"]
    everything = np.arange(len(rows))
    folds = [(everything[fold_of != k], everything[fold_of == k]) for k in range(told["k"])]
    return Split(everything, everything, np.empty(0, dtype=np.int64), folds)


def _by_time(rows: Rows, asked: Mapping[str, Any]) -> Split:
    told = asked["split"]
    points, unit = _points(told["column"], rows.table[told["column"]])
    end, start = _bound(told, "train_until", unit), _bound(told, "test_from", unit)
    gap = told["gap"] * (DAY_MICROSECONDS if unit == "time" else 1)
    is_train = points <= end
    is_validation = np.zeros(len(points), dtype=bool)
    last_end = end
    if told["validation_until"] is not None:
        last_end = _bound(told, "validation_until", unit)
        is_validation = (points > end + gap) & (points <= last_end)
    is_test = (points >= start) & (points > last_end + gap)
    masks = {"train": is_train, "validation": is_validation, "test": is_test}
    parts = {name: np.flatnonzero(mask) for name, mask in masks.items()}
    for name, places in parts.items():
        is_wanted = name != "validation" or told["validation_until"] is not None
        if is_wanted and not len(places):
            low, high = _told(np.nanmin(points), unit), _told(np.nanmax(points), unit)
            text = f"The split leaves no row for {name}: {told['column']} goes from {low} to "
            raise JobError(f"{text}{high}. Move the split's ends.", field="split")
    dropped = len(points) - sum(map(len, parts.values()))
    return Split(parts["train"], parts["validation"], parts["test"], dropped=dropped)


def _points(name: str, column: pa.ChunkedArray) -> tuple[Floats, str]:
    """The order of rows as numbers: microseconds where the column holds times."""
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        plain = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        points, unit = as_numbers(plain), "time"
    elif kind_of(column.type) in ("integer", "number"):
        points, unit = as_numbers(column), "number"
    else:
        text = f"{name} is a {column.type}: it orders nothing. Cast it to a date in a pipeline."
        raise JobError(text, field="split.column")
    if np.isnan(points).all():
        raise JobError(f"{name} is missing in every row. Name another.", field="split.column")
    return points, unit


def _bound(told: Mapping[str, Any], name: str, unit: str) -> float:
    value = told[name]
    if isinstance(value, str) != (unit == "time"):
        needed = "a date such as 2026-11-24" if unit == "time" else "a number"
        text = f"{told['column']} needs {needed} here, not {value!r}."
        raise JobError(text, field=f"split.{name}")
    if unit == "number":
        return float(value)
    moment = dt.datetime.fromisoformat(value)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) / dt.timedelta(microseconds=1)


def _told(point: float, unit: str) -> str:
    if unit == "number":
        return f"{point:g}"
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=point)
    return moment.isoformat(sep=" ", timespec="minutes").removesuffix("+00:00")


def _refuse_thin(rows: Rows, split: Split, asked: Mapping[str, Any]) -> None:
    if len(split.train) < MIN_TRAIN_ROWS:
        text = f"{len(split.train)} rows to learn from are too few; {MIN_TRAIN_ROWS} are needed. "
        raise JobError(text + "Add data, or give the training a larger share.", field="split")
    if not rows.classes:
        _refuse_constant(rows, split, asked["target"])
        return
    counts = np.bincount(rows.y[split.train].astype(int), minlength=len(rows.classes))
    few = int(np.argmin(counts))
    if counts[few] < MIN_CLASS_ROWS:
        text = f"Only {counts[few]} training rows have {asked['target']} = {rows.classes[few]}; "
        text += f"{MIN_CLASS_ROWS} of each class are needed. Add rows or group classes."
        raise JobError(text, field="target")
    for name, places in split.judged().items():
        found = np.unique(rows.y[places])
        if len(found) == 1:
            text = f"Every {name} row has {asked['target']} = {rows.classes[int(found[0])]}, so "
            raise JobError(text + "nothing can be scored there. Split otherwise.", field="split")


def _refuse_constant(rows: Rows, split: Split, target: str) -> None:
    for name, places in {"training": split.train, **split.judged()}.items():
        y = rows.y[places]
        if (y == y[0]).all():
            text = f"{target} is {y[0]:g} in every {name} row. Split otherwise."
            raise JobError(text, field="split")


def hold_out(places: Places, y: npt.NDArray[Any], seed: int) -> tuple[Places, Places]:
    """A tenth of the training rows for early stopping, where there are no validation rows."""
    mixed = np.random.default_rng(seed).permutation(places)
    cut = max(len(mixed) // 10, 1)
    return np.sort(mixed[cut:]), np.sort(mixed[:cut])


def named_parts(split: Split) -> Iterator[tuple[str, Places]]:
    yield "train", split.train
    yield from split.judged().items()


def labels_of(split: Split, count: int) -> Sequence[str]:
    """The part each row is in, "" for none."""
    told = np.full(count, "", dtype=object)
    for name, places in named_parts(split):
        told[places] = name
    return list(told)
