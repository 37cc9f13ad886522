"""Profiles: the same figures from arrays in memory and from DuckDB over files."""

import datetime as dt
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runtime.data.profile import profile_table

RANDOM = np.random.default_rng(7)
ROWS = 5_000
DAYS = [dt.date(2024, 2, 28) + dt.timedelta(days=int(each)) for each in RANDOM.integers(0, 40, 99)]
BEFORE_1970 = dt.datetime(1969, 12, 31, 23, 59, 59, 5)  # noqa: DTZ001 - some columns have no zone
MOMENTS = [BEFORE_1970 + dt.timedelta(hours=7 * each) for each in range(50)]
COLUMNS: dict[str, pa.Array] = {
    "few": pa.array(RANDOM.integers(-3, 4, ROWS)),
    "many": pa.array(RANDOM.integers(0, 2**40, ROWS)),
    "wide": pa.array([2**63 - 1, -(2**63), 2**63 - 1, None, 5]),
    "unsigned": pa.array([2**64 - 1, 2**64 - 2, 0, None], pa.uint64()),
    "small": pa.array([*range(-128, 128), None], pa.int8()),
    "doubles": pa.array(RANDOM.normal(0, 1e6, ROWS)),
    "odd": pa.array([math.nan, math.inf, -math.inf, None, 0.1, 0.7, 0.1, -0.0, 0.0]),
    "no_number": pa.array([math.nan, None, math.nan]),
    "infinite": pa.array([math.inf, -math.inf, math.inf, None]),
    "too_far": pa.array([-1.7e308, 1.7e308]),
    "floats": pa.array(RANDOM.normal(0, 3, ROWS).astype("float32")),
    "one": pa.array([4, 4, 4, None]),
    "one_value": pa.array([0.25]),
    "none": pa.array([None, None], pa.int32()),
    "empty": pa.array([], pa.float64()),
    "flags": pa.array([True, None, False, True, *[False] * 20]),
    "no_flags": pa.array([None, None], pa.bool_()),
    "texts": pa.array(["b", "a", None, "a", "ä", "", "🙂", "\uffff", "x" * 500, *"cdefghijkl"]),
    "ids": pa.array([f"id-{each}" for each in RANDOM.permutation(ROWS)]),
    "no_texts": pa.array([None, None], pa.string()),
    "dates": pa.array([*DAYS, None]),
    "far_dates": pa.array([10**7, -(10**7), 0], pa.int32()).cast(pa.date32()),
    "times": pa.array([*MOMENTS, *MOMENTS[:3], None], pa.timestamp("us")),
    "zoned": pa.array([*MOMENTS, None], pa.timestamp("us", tz="UTC")),
    "decimals": pa.array([Decimal("1.50"), Decimal("-2.25"), None]),
    "bytes": pa.array([b"\x00\x01", None, b"\xff"]),
    "lists": pa.array([[1, 2], None, []]),
}


def assert_alike(one: Any, other: Any) -> None:
    """Equal, but for the last digits of what was summed or weighed."""
    if isinstance(one, float) and isinstance(other, float):
        assert one == pytest.approx(other, rel=1e-12)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_alike(value, other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for value, beside in zip(one, other, strict=True):
            assert_alike(value, beside)
    else:
        assert one == other


@pytest.mark.parametrize("name", COLUMNS)
def test_a_table_and_a_file_of_it_have_one_profile(name: str, tmp_path: Path) -> None:
    column = COLUMNS[name]
    pq.write_table(pa.table({name: column}), tmp_path / "t.parquet")
    by_queries = profile_table([str(tmp_path / "t.parquet")])
    # In pieces, one of which starts within a byte of the bits that say what is missing.
    pieces = pa.chunked_array([column[:3], column[3:3], column[3:]], column.type)
    in_memory = profile_table(pa.table({name: pieces}))
    for found in (by_queries, in_memory):
        if name == "lists":
            del found["columns"][name]["type"]
    assert_alike(in_memory, by_queries)


def test_what_is_not_a_number_is_no_value_and_infinities_are_no_figures() -> None:
    found = profile_table(pa.table({"odd": COLUMNS["odd"]}))["columns"]["odd"]
    assert (found["count"], found["missing"], found["distinct"]) == (7, 2, 5)
    assert (found["min"], found["max"], found["mean"]) == (0.0, 0.7, pytest.approx(0.18))
    assert found["top"][0][1] == 2
    assert sum(found["histogram"]["counts"]) == 5


def test_columns_stay_in_order_whatever_computes_them() -> None:
    names = ["decimals", "one", "lists", "texts"]
    table = pa.table({each: COLUMNS[each][:3] for each in names})
    assert list(profile_table(table)["columns"]) == names
    assert profile_table(table)["rows"] == 3
