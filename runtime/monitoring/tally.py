"""Counting what a release was asked and answered, bucket by bucket of time.

A window's histogram is the sum of its buckets', so every row is counted once.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from runtime.drift.histograms import (
    PREDICTION,
    Column,
    Histograms,
    count_categories,
    count_column,
    merge_columns,
)
from runtime.monitoring.captures import Skipped, Window, find_segments, read_batches, read_traffic

MAX_BUCKETS = 60
STEPS = (
    1, 2, 5, 10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
    172_800, 604_800,
)  # fmt: skip
MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Buckets:
    """Equal spans of time that cover a window; each begins at a round time, the first before it."""

    first: int
    step: int
    count: int

    @classmethod
    def of(cls, window: Window) -> "Buckets":
        start, end = window.start.timestamp(), window.end.timestamp()
        for step in STEPS:
            first = int(start // step)
            count = max(int(-(-end // step)) - first, 1)
            if count <= MAX_BUCKETS:
                break
        return cls(first, step, count)

    def places(self, microseconds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Which bucket each time lies in."""
        return microseconds // (self.step * MICROSECONDS) - self.first

    def place(self, time: dt.datetime) -> int:
        """The time's bucket; times outside the window count to its ends."""
        return min(max(int(time.timestamp() // self.step) - self.first, 0), self.count - 1)

    def starts(self) -> list[str]:
        seconds = ((self.first + each) * self.step for each in range(self.count))
        return [dt.datetime.fromtimestamp(each, dt.UTC).isoformat() for each in seconds]


@dataclass
class Tally:
    """What was counted of one release. `latencies` are of requests, in microseconds; keys of the
    mappings are buckets. `traffic` is what the server itself counted, request by request."""

    slug: str
    reference: Histograms | None
    columns: dict[int, dict[str, Column]] = field(default_factory=dict)
    rows: dict[int, int] = field(default_factory=dict)
    latencies: dict[int, list[npt.NDArray[np.int64]]] = field(default_factory=dict)
    traffic: list[dict[str, Any]] = field(default_factory=list)

    @property
    def row_count(self) -> int:
        return sum(self.rows.values())

    def total(self, name: str) -> Column | None:
        """A column over the whole window; None where it was never captured."""
        return add_up([each[name] for each in self.columns.values() if name in each])


def add_up(pieces: Sequence[Column]) -> Column | None:
    """The sum of histograms made with one reference, None of none."""
    whole: Column | None = None
    for piece in pieces:
        whole = piece if whole is None else merge_columns(whole, piece)
    return whole


def tally_release(
    release: Mapping[str, Any],
    reference: Histograms | None,
    window: Window,
    buckets: Buckets,
    skipped: Skipped,
) -> Tally:
    """Read and count everything of one release. `release`: {"slug", "captures": its folder}."""
    folder = Path(release["captures"])
    tally = Tally(str(release["slug"]), reference)
    tally.traffic = read_traffic(folder, window, skipped)
    names = list(reference["columns"]) if reference else []
    asked = ["at", "row", "latency_us", *(_captured_name(name) for name in names)]
    segments = find_segments(folder, window)
    for table in read_batches(segments, list(dict.fromkeys(asked)), window, skipped):
        _count_batch(tally, table, buckets)
    return tally


def _captured_name(name: str) -> str:
    return "prediction" if name == PREDICTION else name


def _count_batch(tally: Tally, table: pa.Table, buckets: Buckets) -> None:
    at = table["at"].cast(pa.int64()).to_numpy()
    place = buckets.places(at)
    if (np.diff(place) < 0).any():
        order = np.argsort(place, kind="stable")
        table, place = table.take(pa.array(order)), place[order]
    numbers, starts = np.unique(place, return_index=True)
    spans = [
        (int(number), int(low), int(high))
        for number, low, high in zip(numbers, starts, [*starts[1:], len(place)], strict=True)
    ]
    for number, low, high in spans:
        tally.rows[number] = tally.rows.get(number, 0) + high - low
    _keep_latencies(tally, table, spans)
    columns = tally.reference["columns"] if tally.reference else {}
    for name, reference in columns.items():
        if (captured := _captured_name(name)) not in table.column_names:
            continue
        for number, column in _count_spans(reference, table[captured], spans):
            there = tally.columns.setdefault(number, {})
            there[name] = merge_columns(there[name], column) if name in there else column


def _keep_latencies(tally: Tally, table: pa.Table, spans: list[tuple[int, int, int]]) -> None:
    """A request's rows share its latency: the first row stands for it."""
    if "latency_us" not in table.column_names:
        return
    latency = table["latency_us"].fill_null(-1).to_numpy().astype(np.int64)
    is_first = (table["row"].to_numpy() == 0) & (latency >= 0)
    for number, low, high in spans:
        kept = latency[low:high][is_first[low:high]]
        tally.latencies.setdefault(number, []).append(kept)


def _count_spans(
    reference: Column, column: pa.ChunkedArray, spans: list[tuple[int, int, int]]
) -> list[tuple[int, Column]]:
    """The column's histogram for each span of rows; none where its type is not the reference's,
    as when the policy keeps only a hash of it."""
    kind = column.type
    if reference["kind"] == "number":
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
            return []
        values = column.cast(pa.float64()).to_numpy()
        return [(number, count_column(reference, values[low:high])) for number, low, high in spans]
    if not (pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
        return []
    encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    codes = pc.fill_null(encoded.indices, len(texts)).to_numpy(zero_copy_only=False)
    counted = []
    for number, low, high in spans:
        times = np.bincount(codes[low:high], minlength=len(texts) + 1).tolist()
        missing = times.pop()
        there = {text: n for text, n in zip(texts, times, strict=True) if n}
        counted.append((number, count_categories(reference, there, missing)))
    return counted
