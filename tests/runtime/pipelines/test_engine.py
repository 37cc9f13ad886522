"""DuckDB as pipelines open it: nothing but the named files, whatever SQL gets as far as it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runtime.pipelines.engine import Engine
from runtime.pipelines.sql import Sql, StepError


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    table = pa.table({"a": [1, 2, 3], "b": ["x", "y", None]})
    pq.write_table(table, tmp_path / "in.parquet")
    pq.write_table(table, tmp_path / "other.parquet")
    (tmp_path / "spill").mkdir()
    files = [str(tmp_path / "in.parquet")]
    made = Engine(files=files, memory_mb=256, threads=1, temp_folder=str(tmp_path / "spill"))
    made.read("t", files, table.schema)
    yield made
    made.con.close()


REACHING = [
    "select * from read_text('/etc/passwd')",
    "select * from read_blob('/etc/passwd')",
    "select * from read_csv('/etc/passwd')",
    "select * from '/etc/passwd'",
    "select * from glob('/*')",
    "select * from sniff_csv('/etc/passwd')",
    "select * from read_parquet('{folder}/other.parquet')",
    "select * from parquet_metadata('{folder}/other.parquet')",
    "select * from read_parquet('{folder}/*.parquet')",
    "select * from delta_scan('https://example.com/t')",
    "select * from read_parquet('https://example.com/t.parquet')",
    "select * from 's3://bucket/t.parquet'",
    "select * from postgres_scan('host=localhost', 'public', 't')",
    "select * from sqlite_scan('{folder}/x.db', 't')",
    "select getenv('HOME')",
    "select * from query('copy t to ''{folder}/x''')",
    "select * from made",
    "copy t to '{folder}/x.parquet'",
    "copy (select 1) to '{folder}/x.csv'",
    "attach '{folder}/x.db'",
    "export database '{folder}/x'",
    "install httpfs",
    "load httpfs",
    "create secret s (type s3)",
    "set enable_external_access = true",
    "set allowed_paths = ['/etc/passwd']",
    "reset lock_configuration",
    "pragma enable_external_access = true",
    "create table x as select 1; select 1",
    "drop view t",
    "select 1; select 2",
]


@pytest.mark.parametrize("query", REACHING)
def test_step_that_reaches_out_is_refused(engine: Engine, tmp_path: Path, query: str) -> None:
    made = object()  # what a replacement scan would find
    before = sorted(tmp_path.rglob("*"))
    sql = Sql("mine", {}).user(query.format(folder=tmp_path), is_query=True)
    with pytest.raises(StepError, match="Step `mine`"):
        engine.define(sql, is_kept=True)
    assert made
    assert sorted(tmp_path.rglob("*")) == before
    assert engine.count("t") == 3


@pytest.mark.parametrize(
    "text",
    [
        "1) from t; drop view t; --",
        "1) from read_text('/etc/passwd') --",
        "1 /* ",
        "(select content from read_text('/etc/passwd'))",
    ],
)
def test_expression_that_breaks_out_is_refused(engine: Engine, text: str) -> None:
    sql = Sql("mine", {}).add("SELECT ").user(text, "x").add(" AS x FROM t")
    with pytest.raises(StepError):
        engine.define(sql, is_kept=True)
    assert engine.count("t") == 3


def test_configuration_is_locked(engine: Engine) -> None:
    with pytest.raises(duckdb.Error, match="locked"):
        engine.con.execute("SET threads = 8")


def test_wrong_column_is_told_with_its_place(engine: Engine) -> None:
    sql = Sql("mine", {"n": 7}).add("SELECT ").user("$n + length('ü') + aa", "x").add(" FROM t")
    with pytest.raises(StepError) as refused:
        engine.define(sql, is_kept=False)
    error: Any = refused.value
    assert (error.step, error.column) == ("mine", "x")
    assert error.position == 20
    assert "There is no column `aa` here. Did you mean `a`?" in error.message


def test_too_little_memory_is_told_with_what_to_do(tmp_path: Path) -> None:
    engine = Engine(files=[], memory_mb=20, threads=1, temp_folder="")
    query = "select list(range) as l from range(20000000) group by range % 7"
    with pytest.raises(StepError, match="more memory than this job may use"):
        engine.define(Sql("big", {}).user(query, is_query=True), is_kept=True)


def test_larger_than_memory_spills(tmp_path: Path) -> None:
    engine = Engine(files=[], memory_mb=100, threads=2, temp_folder=str(tmp_path))
    query = "select range as n, md5(range::varchar) as m from range(3000000)"
    rows = engine.define(Sql("big", {}).user(query, is_query=True), is_kept=True)
    assert rows == 3_000_000
    assert list(tmp_path.iterdir())
