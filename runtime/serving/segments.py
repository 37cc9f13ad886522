"""Captured rows as Parquet segments: `<release>/dt=…/hr=…/<segment>.parquet`, there whole or not at
all."""

import datetime as dt
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from runtime.serving.ring import Policy, Record

HOUR_US = 3_600_000_000
DRAFT = ".draft"


def draft_segments(folder: str, name: str, policy: Policy, records: Sequence[Record]) -> list[str]:
    """Write the records below a release's folder, a segment for each hour, each as a draft beside
    its place. Returns the places, for `keep_segments`. Raise OSError, with nothing left, when the
    disk will not take them."""
    places: list[str] = []
    try:
        for number, (hour, group) in enumerate(_by_hour(records)):
            moment = dt.datetime.fromtimestamp(hour * 3600, dt.UTC)
            place = os.path.join(folder, f"dt={moment:%Y-%m-%d}", f"hr={moment:%H}")
            os.makedirs(place, mode=0o700, exist_ok=True)
            places.append(os.path.join(place, f"{name}-{number}.parquet"))
            _draft(places[-1], policy, group)
    except BaseException:
        for path in places:
            if os.path.exists(path + DRAFT):
                os.unlink(path + DRAFT)
        raise
    return places


def keep_segments(places: Sequence[str]) -> None:
    """Put drafts in their places: one rename each."""
    for path in places:
        os.rename(path + DRAFT, path)


def _by_hour(records: Sequence[Record]) -> Iterator[tuple[int, Sequence[Record]]]:
    hours: dict[int, list[Record]] = {}
    for record in records:
        hours.setdefault(record.at // HOUR_US, []).append(record)
    yield from hours.items()


def _draft(path: str, policy: Policy, records: Sequence[Record]) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(
        make_table(policy, records), path + DRAFT, compression="zstd", use_dictionary=["label"]
    )


def make_table(policy: Policy, records: Sequence[Record]) -> Any:
    """The records as an Arrow table: what identifies a row, its columns, what was answered."""
    import pyarrow as pa

    own = list(zip(*records, strict=True))
    kept = _numbers(policy, own[3]) | _others(policy, own[4])
    columns = {
        "request_id": pa.array(own[0], pa.string()),
        "row": pa.array(own[1], pa.int32()),
        "at": pa.array(own[2], pa.timestamp("us", tz="UTC")),
        **{name: kept[name] for name in policy.names if name not in RESERVED},
        "prediction": pa.array(own[5], pa.float64()),
        "label": pa.array(own[6], pa.string()),
        "latency_us": pa.array(own[7], pa.int32()),
    }
    return pa.table(columns)


RESERVED = frozenset({"request_id", "row", "at", "prediction", "label", "latency_us"})


def _numbers(policy: Policy, packed: Sequence[bytes]) -> dict[str, Any]:
    import pyarrow as pa

    flat = np.frombuffer(b"".join(packed), dtype=np.float64)
    columns = np.ascontiguousarray(flat.reshape(len(packed), len(policy.numbers)).T)
    return {
        name: pa.array(column, from_pandas=True)
        for name, column in zip(policy.numbers, columns, strict=True)
    }


def _others(policy: Policy, values: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    columns = zip(*values, strict=True)
    return {
        name: _column(column, kind)
        for (name, kind), column in zip(policy.others.items(), columns, strict=True)
    }


def _column(values: Sequence[Any], kind: str) -> Any:
    import pyarrow as pa

    cast = {"double": float, "int64": int, "bool": bool, "string": str}[kind]
    kinds = {"double": pa.float64(), "int64": pa.int64(), "bool": pa.bool_(), "string": pa.string()}
    try:
        return pa.array(values, kinds[kind])
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        # Such as 3.0 for a whole number, or a whole number too large to be one in a double.
        return pa.array([None if v is None else cast(v) for v in values], kinds[kind])
