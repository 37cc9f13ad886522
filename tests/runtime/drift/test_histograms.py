"""Histograms: whatever column comes, counted once, and parts add up to the whole."""

import json
from typing import Any

import numpy as np
import pytest

from runtime.drift.histograms import (
    MAX_CATEGORIES,
    build_reference,
    count,
    count_column,
    merge,
    merge_columns,
    present,
    total,
)

DRAW = np.random.default_rng(3)
KINDS = {"number": "number", "whole": "integer", "flag": "boolean", "text": "category"}


def columns(rows: int) -> dict[str, Any]:
    number = DRAW.normal(size=rows)
    number[::5] = np.nan
    return {
        "number": number,
        "whole": DRAW.poisson(3, rows),
        "flag": DRAW.random(rows) < 0.3,
        "text": DRAW.choice(np.array(["a", "b", None], dtype=object), rows),
    }


def reference_of(values: Any, kind: str = "number", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = build_reference({"x": values}, {"x": kind}, **more)["columns"]["x"]
    return found


def test_parts_add_up_to_the_whole() -> None:
    reference = build_reference(columns(5_000), KINDS)
    rows = columns(3_000)
    whole = count(reference, rows)
    parts = [count(reference, {n: v[k::3] for n, v in rows.items()}) for k in range(3)]
    summed = merge(merge(parts[0], parts[1]), parts[2])
    assert summed["rows"] == whole["rows"] == 3_000
    for name, column in whole["columns"].items():
        assert {k: v for k, v in summed["columns"][name].items() if not k.endswith("_sum")} == {
            k: v for k, v in column.items() if not k.endswith("_sum")
        }
        assert total(column) == 3_000


def test_reference_is_plain_json_and_counts_every_row() -> None:
    reference = build_reference(columns(2_000), KINDS)
    assert json.loads(json.dumps(reference)) == reference
    for column in reference["columns"].values():
        assert total(column) == 2_000
    assert reference["columns"]["number"]["missing"] == 400


@pytest.mark.parametrize(
    "values",
    [
        np.full(100, 3.0),
        np.full(100, np.nan),
        np.array([]),
        np.array([1.0]),
        np.array([0.0, 0.0, 0.0, 5.0]),
        np.array([-np.inf, 1.0, 2.0, np.inf]),
        np.r_[np.zeros(900), DRAW.normal(size=500)],
        np.r_[DRAW.normal(size=500), np.full(900, 9.0)],
        np.array([None, 1, 2.5], dtype=object),
        DRAW.normal(size=100_000).astype(np.float32),
    ],
)
def test_any_column_has_a_reference_that_counts_itself(values: Any) -> None:
    column = reference_of(values)
    again = count_column(column, values)
    assert again["counts"] == column["counts"]
    assert total(again) == len(values)
    edges = column["edges"]
    assert edges == sorted(edges) and len(column["counts"]) == max(len(edges) - 1, 0)


def test_few_values_have_a_bin_each() -> None:
    column = reference_of([1, 1, 2, 7])
    assert column["edges"] == [1, 2, 7, 7] and column["counts"] == [2, 1, 1]
    other = count_column(column, [1, 3, 7, 8, 0])
    assert (other["below"], other["above"]) == (1, 1)
    assert other["above_sum"] == 1 and other["below_sum"] == 1


def test_frequent_value_is_told_from_its_neighbours() -> None:
    values = np.r_[np.zeros(5_000), DRAW.normal(size=5_000)]
    column = reference_of(values)
    place = column["edges"].index(0.0)
    assert column["counts"][place] == 5_000


def test_flags_are_flags_however_they_come() -> None:
    column = reference_of(np.array([True, False, None, True], dtype=object), "boolean")
    assert column["categories"] == ["false", "true"] and column["counts"] == [1, 2]
    as_numbers = reference_of(np.array([1.0, 0.0, np.nan, 1.0]), "boolean")
    assert as_numbers == column


def test_unseen_category_is_counted_apart() -> None:
    column = reference_of(np.array(["a", "b", None], dtype=object), "category")
    other = count_column(column, np.array(["a", "c", "d", None], dtype=object))
    assert other["counts"] == [1, 0] and other["unseen"] == 2 and other["missing"] == 1
    assert present(other) == 3


def test_wild_category_column_is_bounded() -> None:
    column = reference_of([f"id-{n}" for n in range(5_000)], "category")
    assert len(column["categories"]) == MAX_CATEGORIES
    assert column["unseen"] == 5_000 - MAX_CATEGORIES


def test_other_edges_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="same reference"):
        merge_columns(reference_of([1.0, 2.0]), reference_of([1.0, 3.0]))
