"""The figures of a column in memory: sorted once, its values tell all of them.

For the plain types, with NumPy. What the figures are, and how columns that are of another type or
too large to hold come by them, `runtime.data.profile` says.
"""

import heapq
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

BINS = 20
TOP = 10
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Counting every value of a column with more of them than this costs much and says little.
TOP_DISTINCT = 200_000
TEXT_LIMIT = 120
INTEGERS = {
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
    *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
}
# How each is stored, and microseconds in its unit.
TIMES: dict[pa.DataType, tuple[str, int]] = {
    pa.date32(): ("int32", 86_400_000_000),
    pa.timestamp("us"): ("int64", 1),
    pa.timestamp("us", tz="UTC"): ("int64", 1),
}
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the texts of a profile's times have no zone
# From the year 1 to 9999, the times that Python can say: in microseconds, less a day for rounding.
FIRST, LAST = -719_162 * 86_400_000_000, 2_932_895 * 86_400_000_000
Array = np.ndarray[Any, np.dtype[Any]]
Row = dict[str, Any]


def column_figures(column: pa.ChunkedArray) -> Row | None:
    """All figures but the type. None: a type or values that are left to DuckDB."""
    kind = column.type
    # Infinite ends and sums that no float can hold are told as missing, as they are found.
    with np.errstate(all="ignore"):
        if kind in (pa.string(), pa.large_string()):
            return _of_texts(column)
        if kind == pa.bool_():
            return _of_booleans(column)
        if kind in TIMES:
            return _of_times(column)
        if kind in INTEGERS or kind in (pa.float32(), pa.float64()):
            return _of_numbers(column)
    return None


def _of_texts(column: pa.ChunkedArray) -> Row:
    counted = column.drop_null().value_counts()
    values, counts = counted.field(0), counted.field(1).to_numpy()

    def take(places: Array) -> list[str]:
        return [str(each) for each in values.take(pa.array(places)).to_pylist()]

    row = _counted(column, column.null_count, len(values))
    return row | _top(counts, take, plain, distinct=len(values))


def _of_booleans(column: pa.ChunkedArray) -> Row:
    found, counts = np.unique(_values(column, "bool"), return_counts=True)
    row = _counted(column, column.null_count, found.size)
    return row | _top(counts, lambda at: found[at].tolist(), plain, distinct=found.size)


def _of_numbers(column: pa.ChunkedArray) -> Row:
    values = np.sort(_values(column, column.type.to_pandas_dtype()))
    held = finite = values
    if values.dtype.kind == "f":
        # Sorted, what is not a number comes last, and infinities at the ends of the rest.
        held = values[: values.size - np.count_nonzero(np.isnan(values))]
        start, end = np.searchsorted(held, -np.inf, "right"), np.searchsorted(held, np.inf)
        finite = held[start:end]
    found, counts = _runs(finite)
    infinities = (held[:1] == -np.inf).sum() + (held[-1:] == np.inf).sum()
    row = _counted(column, len(column) - held.size, found.size + int(infinities))
    points = [plain(_between(finite, each)) if finite.size else None for each in QUANTILES]
    row |= _ends(finite, points, plain)
    row["mean"] = plain(_mean(finite)) if finite.size else None
    row |= _histogram(finite.astype(np.float64), float)
    return row | _top(counts, lambda at: found[at].tolist(), plain, distinct=row["distinct"])


def _of_times(column: pa.ChunkedArray) -> Row | None:
    dtype, unit = TIMES[column.type]
    values = np.sort(_values(column, dtype)).astype(np.int64)
    if values.size and not FIRST <= int(values[0]) * unit <= int(values[-1]) * unit <= LAST:
        return None
    values *= unit
    found, counts = _runs(values)

    def say(value: int) -> str:
        moment = EPOCH + timedelta(microseconds=value)
        return (moment if unit == 1 else moment.date()).isoformat()

    row = _counted(column, column.null_count, found.size)
    # The least value that so large a share of all is not above, in whole numbers.
    at = [-(-values.size * round(each * 100) // 100) - 1 for each in QUANTILES]
    row |= _ends(values, [say(int(values[each])) if values.size else None for each in at], say)
    row |= _histogram(
        values / 1e6, lambda edge: (EPOCH + timedelta(microseconds=round(edge * 1e6))).isoformat()
    )
    return row | _top(counts, lambda places: found[places].tolist(), say, distinct=found.size)


def _values(column: pa.ChunkedArray, dtype: Any) -> Array:
    """The values that are there, without a copy through Python's or with a change of type."""
    parts = [_part(chunk, np.dtype(dtype)) for chunk in column.chunks if len(chunk)]
    return np.concatenate(parts) if parts else np.empty(0, dtype)


def _part(chunk: pa.Array, dtype: np.dtype[Any]) -> Array:
    place = slice(chunk.offset, chunk.offset + len(chunk))
    validity, data = chunk.buffers()
    values = _bits(data, place) if dtype.kind == "b" else np.frombuffer(data, dtype)[place]
    return values[_bits(validity, place)] if chunk.null_count else values


def _bits(data: pa.Buffer, place: slice) -> Array:
    packed = np.frombuffer(data, np.uint8)
    return np.unpackbits(packed, count=place.stop, bitorder="little")[place].astype(bool)


def _runs(values: Array) -> tuple[Array, Array]:
    """The distinct ones of sorted values, and how often each is there."""
    if not values.size:
        return values, np.empty(0, np.int64)
    starts = np.flatnonzero(values[1:] != values[:-1]) + 1
    starts = np.concatenate(([0], starts))
    return values[starts], np.diff(starts, append=values.size)


def _counted(column: pa.ChunkedArray, missing: int, distinct: int) -> Row:
    there = len(column) - missing
    return {"count": there, "missing": missing, "distinct": distinct, "is_estimate": False}


def _ends(values: Array, points: list[Any], say: Callable[[Any], Any]) -> Row:
    low, high = (say(values[0].item()), say(values[-1].item())) if values.size else (None, None)
    return {
        "min": low,
        "max": high,
        "quantiles": dict(zip(map(str, QUANTILES), points, strict=True)),
    }


def _between(values: Array, share: float) -> float:
    """The quantile of sorted values, between the two nearest (in the values' own precision)."""
    place = (values.size - 1) * share
    below = math.floor(place)
    low, high = float(values[below]), float(values[math.ceil(place)])
    found = low if low == high else low * (1 - (place - below)) + high * (place - below)
    return float(np.float32(found)) if values.dtype == np.float32 else found


def _mean(values: Array) -> float:
    if values.dtype.kind == "f":
        return float(values.mean(dtype=np.float64))
    # Summed in halves, since a sum of 64 bits would not fit into them.
    wide = values if values.dtype == np.uint64 else values.astype(np.int64, copy=False)
    total = (int((wide >> 32).sum()) << 32) + int((wide & 0xFFFF_FFFF).sum())
    return total / values.size


def _histogram(values: Array, say: Callable[[float], Any]) -> Row:
    """Of sorted doubles, in equal bins. None where there are no values, or where the ends are too
    far apart for a width in doubles."""
    if not values.size or not math.isfinite(width := float(values[-1]) - float(values[0])):
        return {}
    low, high = float(values[0]), float(values[-1])
    bins = BINS if high > low else 1
    place = (values - low) / (width or 1.0) * BINS
    counts = np.bincount(np.minimum(place, bins - 1).astype(np.int64), minlength=bins)
    edges = [*(low + width * step / bins for step in range(bins)), high]
    return {"histogram": {"edges": [say(each) for each in edges], "counts": counts.tolist()}}


def _top(
    counts: Array,
    take: Callable[[Array], list[Any]],
    say: Callable[[Any], Any],
    *,
    distinct: int,
) -> Row:
    """The values seen most, the lesser one first of two seen as often. `take` gives the values at
    places of `counts`."""
    if not 0 < distinct <= TOP_DISTINCT:
        return {}
    least = int(np.partition(counts, -TOP)[-TOP]) if counts.size > TOP else 0
    above = np.flatnonzero(counts > least)
    found = sorted(
        zip(counts[above].tolist(), take(above), strict=True), key=lambda each: (-each[0], each[1])
    )
    if least:
        tied = heapq.nsmallest(TOP - len(found), take(np.flatnonzero(counts == least)))
        found += [(least, each) for each in tied]
    return {"top": [[say(value), count] for count, value in found]}


def plain(value: Any) -> Any:
    """As JSON has it: texts cut short, bytes and times as text, no infinities."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, bytes):
        return value[:TEXT_LIMIT].hex()
    if hasattr(value, "as_tuple"):
        return float(value)
    text = str(value)
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"
