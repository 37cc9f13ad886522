"""The encoder: what a row becomes, and what is wrong with one that is refused."""

import json
import math
from typing import Any

import numpy as np
import pytest

from runtime.encoding import TOO_LARGE, Encoder, RowError

SIGNATURE: dict[str, Any] = {
    "inputs": [
        {"name": "n", "kind": "number"},
        {"name": "i", "kind": "integer"},
        {"name": "b", "kind": "boolean"},
        {"name": "c", "kind": "category", "categories": ["x", "y"]},
        {"name": "must", "kind": "number", "is_nullable": False},
    ],
    "keys": [{"name": "k", "kind": "text"}],
}
ROW = {"n": 0.5, "i": 3, "b": True, "c": "y", "must": 1}
encoder = Encoder(SIGNATURE)


def test_row_becomes_numbers_in_the_order_of_the_inputs() -> None:
    matrix = encoder.encode_rows([ROW, {"k": "a", **dict(reversed(ROW.items()))}])
    assert matrix.dtype == np.float32
    assert matrix.tolist() == [[0.5, 3, 1, 1, 1]] * 2


def test_missing_values_are_nan_and_unseen_categories_minus_one() -> None:
    row = {"n": None, "i": None, "b": None, "c": None, "must": 2.5}
    found = encoder.encode_rows([row, {**ROW, "c": "never seen"}])
    assert [math.isnan(each) for each in found[0]] == [True, True, True, False, False]
    assert found[0, 3] == found[1, 3] == -1


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"n": "0.5"}, "n", "is a number"),
        ({"n": True}, "n", "is a number"),
        ({"n": math.nan}, "n", "too large a number, or none"),
        ({"n": math.inf}, "n", "too large a number, or none"),
        ({"n": 1e300}, "n", "too large a number"),
        ({"n": 10**400}, "n", "too large a number"),
        ({"i": 3.5}, "i", "whole number"),
        ({"i": math.inf}, "i", "too large a number"),
        ({"i": "3"}, "i", "is a number"),
        ({"b": 1}, "b", "true or false"),
        ({"c": 1}, "c", "is a text"),
        ({"must": None}, "must", "must not be null"),
        ({"other": 1}, "other", "not an input"),
    ],
)
def test_wrong_value_is_refused_by_row_and_field(
    change: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(RowError, match=says) as refused:
        encoder.encode_rows([ROW, {**ROW, **change}])
    assert (refused.value.row, refused.value.field) == (1, field)


@pytest.mark.parametrize("name", list(ROW))
def test_missing_field_is_refused_by_name(name: str) -> None:
    with pytest.raises(RowError, match=f"{name} is missing"):
        encoder.encode_rows([{key: value for key, value in ROW.items() if key != name}])


@pytest.mark.parametrize("row", [[], "a", 3, None])
def test_row_that_is_no_object_is_refused(row: Any) -> None:
    with pytest.raises(RowError, match="A row is an object"):
        encoder.encode_rows([row])


def test_whole_float_is_a_whole_number_and_no_row_no_matrix() -> None:
    assert encoder.encode_rows([{**ROW, "i": 4.0}])[0, 1] == 4
    assert encoder.encode_rows([]).shape == (0, 5)


def test_short_way_and_long_way_agree() -> None:
    rng = np.random.default_rng(3)
    choices: list[Any] = [
        0.25,
        7,
        True,
        "x",
        "z",
        None,
        1e39,
        -3.5e38,
        math.inf,
        math.nan,
        json.loads("[]"),
    ]
    for _ in range(3000):
        row = {name: choices[rng.integers(len(choices))] for name in [*ROW, "k", "other"]}
        for name in ("k", "other", "n"):
            if rng.random() < 0.6:
                del row[name]
        packed = encoder.pack_row(row)
        try:
            read = encoder._read_row(0, row)
        except RowError:
            assert packed is None
            continue
        assert packed is None or packed == np.array(read, np.float32).tobytes()


@pytest.mark.parametrize("sign", [1, -1])
def test_number_is_taken_as_long_as_it_rounds_to_a_float32(sign: int) -> None:
    most = math.nextafter(TOO_LARGE, 0)
    numbers = Encoder({"inputs": [{"name": name, "kind": "number"} for name in "ab"]})
    row = {"a": sign * most, "b": 0}
    assert numbers.pack_row(row) == numbers._pack(*numbers._read_row(0, row))
    assert numbers.encode_rows([row])[0, 0] == sign * np.finfo(np.float32).max
    for wrong in (TOO_LARGE, int(TOO_LARGE), 10**400, math.inf, math.nan):
        assert numbers.pack_row({**row, "a": sign * wrong}) is None
        with pytest.raises(RowError, match="too large"):
            numbers.encode_rows([{**row, "a": sign * wrong}])


def test_columns_are_encoded_as_rows_are() -> None:
    columns = {name: [value] for name, value in ROW.items()}
    assert encoder.encode_columns(columns, 1).tolist() == encoder.encode_rows([ROW]).tolist()
