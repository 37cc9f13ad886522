"""What each operation does to rows, through the same code a run uses."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from runtime.data.delta import open_dataset, write_version
from runtime.job import JobError
from runtime.pipelines.run import main

SALES = pa.table(
    {
        "id": [1, 1, 2, 2, 3],
        "week": [1, 2, 1, 2, 1],
        "spend": [10.0, None, 30.0, 1000.0, 5.0],
        "code": ["7", "x", "9", None, "7"],
        "note": ["a", "a", "b", "b", "a"],
    }
)


def run(folder: Path, *, parameters: Any = None, **steps: Any) -> list[dict[str, Any]]:
    """Write what the last of these steps makes of `sales`, and read it back in order."""
    write_version(str(folder / "sales"), SALES.to_reader(), commit_key="made/sales")
    last = list(steps)[-1]
    chain = {
        "sales": {"operation": "read", "dataset": "sales"},
        **steps,
        "save": {"operation": "write", "input": last, "dataset": "made"},
    }
    reads = [name for name, step in chain.items() if step["operation"] == "read"]
    main(
        {
            "definition": json.dumps({"parameters": parameters or {}, "steps": chain}),
            "parameters": {},
            "inputs": {name: {"path": str(folder / "sales"), "number": 0} for name in reads},
            "outputs": {"save": {"path": str(folder / "made"), "dataset": "d"}},
            "job": "job",
            "memory_mb": 512,
            "threads": 2,
            "temp_folder": str(folder / "spill"),
        }
    )
    rows: list[dict[str, Any]] = open_dataset(str(folder / "made"), 0).to_table().to_pylist()
    return sorted(rows, key=lambda row: [(each is None, str(each)) for each in row.values()])


def step(operation: str, source: str = "sales", **fields: Any) -> dict[str, Any]:
    return {"operation": operation, "input": source, **fields}


def column(rows: list[dict[str, Any]], name: str) -> list[Any]:
    return [row[name] for row in rows]


def test_select_keeps_drops_and_renames(tmp_path: Path) -> None:
    chosen = step("select", columns=["WEEK", "id", "note"], drop=["note"], rename={"id": "who"})
    assert list(run(tmp_path, chosen=chosen)[0]) == ["week", "who"]


def test_filter_with_a_parameter_and_a_comment(tmp_path: Path) -> None:
    kept = step("filter", where="note = $which -- and nothing else")
    rows = run(tmp_path, parameters={"which": "it's"}, kept=kept)
    assert rows == []


def test_cast_fails_or_leaves_missing(tmp_path: Path) -> None:
    cast = step("cast", columns={"code": "integer"}, on_error="missing")
    assert column(run(tmp_path, cast=cast), "code") == [7, None, 9, None, 7]
    with pytest.raises(JobError, match="Step `cast`, column `code`: Could not convert"):
        run(tmp_path / "two", cast=step("cast", columns={"code": "integer"}))


def test_fill_missing_by_constant_mean_and_previous(tmp_path: Path) -> None:
    fills = {
        "code": {"method": "constant", "value": "none"},
        "spend": {"method": "previous", "order_by": ["week"], "partition_by": ["id"]},
    }
    rows = run(tmp_path, filled=step("fill_missing", columns=fills))
    assert column(rows, "spend") == [10.0, 10.0, 30.0, 1000.0, 5.0]
    assert column(rows, "code") == ["7", "x", "9", "none", "7"]
    mean = step("fill_missing", columns={"spend": {"method": "mean"}})
    assert column(run(tmp_path / "two", filled=mean), "spend")[1] == 261.25


def test_deduplicate_keeps_the_first_by_order(tmp_path: Path) -> None:
    last = step("deduplicate", keys=["id"], order_by=["week desc"])
    assert column(run(tmp_path, last=last), "week") == [2, 2, 1]


def test_clip_by_bound_and_quantile(tmp_path: Path) -> None:
    clipped = step("clip_outliers", columns=["spend"], lower=8, upper_quantile=0.5)
    assert column(run(tmp_path, clipped=clipped), "spend") == [10.0, None, 20.0, 20.0, 8.0]


def test_derive_replaces_in_place_and_adds_at_the_end(tmp_path: Path) -> None:
    more = step("derive", columns={"week": "week * 10", "twice": "week * 2"})
    rows = run(tmp_path, more=more)
    assert list(rows[0]) == ["id", "week", "spend", "code", "note", "twice"]
    assert (rows[0]["week"], rows[0]["twice"]) == (10, 2)


def test_join_renames_what_both_have(tmp_path: Path) -> None:
    few = step("select", columns=["id", "spend"])
    joined = {"operation": "join", "left": "sales", "right": "few", "keys": ["id"], "how": "left"}
    rows = run(tmp_path, few=few, joined=joined)
    assert len(rows) == 9
    assert list(rows[0])[-1] == "spend_right"


def test_union_matches_by_name(tmp_path: Path) -> None:
    few = step("select", columns=["week", "id"])
    both = {"operation": "union", "inputs": ["sales", "few"]}
    rows = run(tmp_path, few=few, both=both)
    assert (len(rows), column(rows, "note").count(None)) == (10, 5)


def test_window_wraps_each_call_and_keeps_the_frame(tmp_path: Path) -> None:
    columns = {
        "upto": {
            "expression": "coalesce(sum(spend), 0) + count(*) filter (week > 1)",
            "frame": "rows between unbounded preceding and current row",
        },
        "before": {"expression": "lag(week)"},
    }
    wide = step("window", partition_by=["id"], order_by=["week"], columns=columns)
    rows = run(tmp_path, wide=wide)
    assert column(rows, "upto") == [10.0, 11.0, 30.0, 1031.0, 5.0]
    assert column(rows, "before") == [None, 1, None, 1, None]


def test_sample_takes_the_same_rows_each_time(tmp_path: Path) -> None:
    some = step("sample", rows=2, seed=3)
    first = run(tmp_path, some=some)
    assert len(first) == 2
    assert run(tmp_path / "two", some=some) == first


def test_split_by_time_and_at_random(tmp_path: Path) -> None:
    by_time = step("split", by="week", until={"train": 1, "test": None})
    assert column(run(tmp_path, cut=by_time), "split") == ["train", "test"] * 2 + ["train"]
    drawn = step("split", fractions={"train": 0.5, "test": 0.5}, keys=["id"], column="part")
    rows = run(tmp_path / "two", cut=drawn)
    assert len({(row["id"], row["part"]) for row in rows}) == 3


def test_sql_sees_its_inputs_by_name(tmp_path: Path) -> None:
    query = "select note, count(*) as n from sales group by all having n > $least;"
    mine = {"operation": "sql", "inputs": ["sales"], "query": query}
    rows = run(tmp_path, parameters={"least": 2}, mine=mine)
    assert rows == [{"note": "a", "n": 3}]


def test_what_one_step_computes_within_another_is_blamed_on_it(tmp_path: Path) -> None:
    wrong = step("derive", columns={"n": "cast(code as integer)", "fine": "week"})
    kept = step("filter", "wrong", where="week > 0")
    total = step("aggregate", "kept", columns={"all": "sum(n)"})
    with pytest.raises(JobError, match="Step `wrong`, column `n`: Could not convert string 'x'"):
        run(tmp_path, wrong=wrong, kept=kept, total=total)
