"""Arrow rows as JSON: times as ISO 8601 texts, bytes as hexadecimal, decimals as numbers."""

import datetime as dt
import decimal
import math
from typing import Any

import pyarrow as pa

MAX_TEXT = 10_000


def json_rows(
    reader: pa.RecordBatchReader, max_bytes: int, limit: int | None = None
) -> tuple[list[dict[str, Any]], bool]:
    """Rows up to `limit` and about `max_bytes`; True when bytes, not rows, ended it."""
    rows: list[dict[str, Any]] = []
    size = 0
    for batch in reader:
        left = batch.num_rows if limit is None else min(limit - len(rows), batch.num_rows)
        for row in batch.slice(0, left).to_pylist():
            rows.append({name: plain(value) for name, value in row.items()})
            size += sum(len(str(value)) + len(name) + 6 for name, value in rows[-1].items())
            if size > max_bytes:
                return rows, True
        if limit is not None and len(rows) >= limit:
            break
    return rows, False


def plain(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 1] + "…"
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, bytes):
        return value[: MAX_TEXT // 2].hex()
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else str(value)
