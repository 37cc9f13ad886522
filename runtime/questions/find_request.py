"""Finds a captured request by its id, newest segments first."""

import datetime as dt
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MAX_ROWS = 1_000


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """`question`: {"request_id", "folders": endpoints' folders of captures}.

    Returns {"found": null or {"endpoint", "release": uuids as their folders are named, "segment",
    "rows": the captured rows in order, at most 1,000, "is_complete"}, "segments": how many were
    looked at, "skipped": how many could not be read}.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted = str(question["request_id"])
    looked = skipped = 0
    for path in _newest_first([Path(each) for each in question["folders"]]):
        looked += 1
        try:
            with pq.ParquetFile(path) as file:
                if not _may_hold(file, wanted):
                    continue
                ids = file.read(["request_id"], use_threads=False)["request_id"]
                is_it = pc.equal(ids.cast(pa.string()), wanted)
                if not pc.any(is_it).as_py():
                    continue
                rows = file.read(use_threads=False).filter(is_it)
        except (pa.ArrowException, OSError):
            skipped += 1
            continue
        if "row" in rows.column_names:
            rows = rows.sort_by("row")
        found = {
            "endpoint": path.parts[-5],
            "release": path.parts[-4],
            "segment": "/".join(path.parts[-3:]),
            "rows": [_plain(each) for each in rows.slice(0, MAX_ROWS).to_pylist()],
            "is_complete": rows.num_rows <= MAX_ROWS,
        }
        return {"found": found, "segments": looked, "skipped": skipped}
    return {"found": None, "segments": looked, "skipped": skipped}


def _newest_first(folders: list[Path]) -> Iterator[Path]:
    """`<endpoint>/<release>/dt=…/hr=…/<segment>.parquet`, by day, hour and then age."""
    found = [path for folder in folders for path in folder.glob("*/dt=*/hr=*/*.parquet")]
    yield from sorted(found, key=_age, reverse=True)


def _age(path: Path) -> tuple[str, str, float]:
    try:
        changed = path.stat().st_mtime
    except OSError:
        changed = 0.0
    return path.parts[-3], path.parts[-2], changed


def _may_hold(file: Any, wanted: str) -> bool:
    """Whether the file's own statistics leave room for this id: it matters where ids rise."""
    place = file.schema_arrow.get_field_index("request_id")
    if place < 0:
        return False
    for number in range(file.metadata.num_row_groups):
        statistics = file.metadata.row_group(number).column(place).statistics
        if statistics is None or not statistics.has_min_max:
            return True
        # Long texts may be cut short in statistics: compared by what is there.
        if str(statistics.min)[: len(wanted)] <= wanted <= str(statistics.max) + "\U0010ffff":
            return True
    return False


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).isoformat()
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return value.hex()
    return value
