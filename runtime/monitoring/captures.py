"""Reading what the scoring server left: captured requests and counts of traffic.

Under an endpoint's folder: `<release>/dt=YYYY-MM-DD/hr=HH/<segment>.parquet` and
`<release>/traffic/<date>.jsonl`. A file that cannot be read is skipped and counted.
"""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)
BATCH_ROWS = 250_000
NAMED = 20


@dataclass(frozen=True)
class Window:
    """From `start` up to, not including, `end`; both aware."""

    start: dt.datetime
    end: dt.datetime

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


@dataclass
class Skipped:
    """What could not be read: how many files, and the names of the first."""

    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, path: Path) -> None:
        self.count += 1
        if len(self.names) < NAMED:
            self.names.append(str(Path(*path.parts[-3:])))


def find_segments(folder: Path, window: Window | None = None) -> list[Path]:
    """A release's segments that may hold rows of the window, oldest first."""
    found = [
        (hour, path)
        for path in folder.glob("dt=*/hr=*/*.parquet")
        if (hour := _hour_of(path)) is not None
        # An hour's slack: a segment lies where it was begun.
        and (window is None or window.start - 2 * HOUR < hour < window.end + HOUR)
    ]
    return [path for _, path in sorted(found)]


def _hour_of(path: Path) -> dt.datetime | None:
    day, hour = path.parts[-3].removeprefix("dt="), path.parts[-2].removeprefix("hr=")
    try:
        return dt.datetime.strptime(f"{day} {hour}+0000", "%Y-%m-%d %H%z")
    except ValueError:
        return None


def read_batches(
    segments: Sequence[Path], columns: Sequence[str], window: Window, skipped: Skipped
) -> Iterator[pa.Table]:
    """The window's rows in tables of about a quarter million, with those of `columns` that were
    captured."""
    pieces: list[pa.Table] = []
    rows = 0
    for path in segments:
        table = _read(path, columns, window, skipped)
        if table is None or not table.num_rows:
            continue
        pieces.append(table)
        rows += table.num_rows
        if rows >= BATCH_ROWS:
            yield _together(pieces)
            pieces, rows = [], 0
    if pieces:
        yield _together(pieces)


def _read(path: Path, columns: Sequence[str], window: Window, skipped: Skipped) -> pa.Table | None:
    try:
        with pq.ParquetFile(path) as file:
            there = set(file.schema_arrow.names)
            if not {"at", "row"} <= there:
                raise pa.ArrowInvalid("not a segment of captured requests")
            if _lies_outside(file, window):
                return None
            table = file.read([name for name in columns if name in there], use_threads=False)
        # Whatever clock wrote it: compared in UTC.
        at = table["at"].cast(pa.timestamp("us", "UTC"))
        is_inside = pc.and_(
            pc.greater_equal(at, pa.scalar(window.start, at.type)),
            pc.less(at, pa.scalar(window.end, at.type)),
        )
        table = table.set_column(table.schema.get_field_index("at"), "at", at)
        return table if pc.all(is_inside).as_py() else table.filter(is_inside)
    except (pa.ArrowException, OSError):
        skipped.add(path)
        return None


def _lies_outside(file: pq.ParquetFile, window: Window) -> bool:
    """Whether the file's own statistics say that no row is of the window."""
    place = file.schema_arrow.get_field_index("at")
    for number in range(file.metadata.num_row_groups):
        statistics = file.metadata.row_group(number).column(place).statistics
        if statistics is None or not statistics.has_min_max:
            return False
        low, high = statistics.min, statistics.max
        if low.tzinfo is None:
            low, high = low.replace(tzinfo=dt.UTC), high.replace(tzinfo=dt.UTC)
        if low < window.end and high >= window.start:
            return False
    return True


def _together(pieces: list[pa.Table]) -> pa.Table:
    try:
        return pa.concat_tables(pieces, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        # A column's policy changed within the window: what it was before is not comparable.
        newest = pieces[-1].schema
        same = [
            name
            for name in newest.names
            if all(
                name in each.schema.names
                and each.schema.field(name).type == newest.field(name).type
                for each in pieces
            )
        ]
        return pa.concat_tables([each.select(same) for each in pieces])


def read_traffic(folder: Path, window: Window, skipped: Skipped) -> list[dict[str, Any]]:
    """A release's lines of traffic whose minute overlaps the window. Broken lines are skipped."""
    lines = []
    for path in sorted(folder.glob("traffic/*.jsonl")):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            skipped.add(path)
            continue
        broken = False
        for line in text.splitlines():
            if (said := _traffic_line(line)) is None:
                broken = True
            elif said["minute"] + MINUTE > window.start and said["minute"] < window.end:
                lines.append(said)
        if broken:
            skipped.add(path)
    return lines


def _traffic_line(line: str) -> dict[str, Any] | None:
    try:
        said = json.loads(line)
        minute = dt.datetime.fromisoformat(said["minute"])
        minute = minute if minute.tzinfo else minute.replace(tzinfo=dt.UTC)
        errors = {str(code): int(n) for code, n in (said.get("errors") or {}).items()}
        return {
            "minute": minute,
            # The server counts what it answered and what it refused apart.
            "requests": int(said["requests"]) + sum(errors.values()),
            "errors": errors,
            "latency": [int(n) for n in said.get("latency_log2_us") or ()],
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
