"""Parquet files, folders and SQLite files."""

import os
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from runtime.data.reading import open_source
from runtime.job import JobError
from tests.runtime.data.reading import CSV, PARQUET, asked, parquet, read, refused

TABLE = pa.table({"a": list(range(1000)), "b": ["x"] * 1000})
FOLDER = {"kind": "folder", "path": ".", "pattern": "**/*.csv"}


def read_folder(folder: Path, pattern: str = "**/*.csv", form: Any = None) -> pa.Table:
    connection = {**FOLDER, "pattern": pattern}
    with open_source(asked(folder, form or CSV, connection=connection)) as reader:
        return reader.read_all()


def test_parquet_is_read_and_bad_parquet_refused(tmp_path: Path) -> None:
    whole = parquet(TABLE, tmp_path / "whole")
    assert read(tmp_path, whole, PARQUET, columns=["b"]).num_rows == 1000
    for broken in (whole[: len(whole) // 2], b"PAR1 and nothing else", os.urandom(4096)):
        error = refused(tmp_path, broken, PARQUET)
        assert "sent is not a whole Parquet file" in error.message
    assert "empty" in refused(tmp_path, b"", PARQUET).message


def test_parquet_damaged_inside_is_refused(tmp_path: Path) -> None:
    whole = parquet(TABLE, tmp_path / "whole")
    error = refused(tmp_path, whole[:50] + b"\xff" * 400 + whole[450:], PARQUET)
    assert "damaged" in error.message or "whole Parquet" in error.message


def test_parquet_files_of_other_columns_are_refused(tmp_path: Path) -> None:
    parquet(TABLE, tmp_path / "1.parquet")
    parquet(pa.table({"a": ["text"], "b": ["x"]}), tmp_path / "2.parquet")
    with pytest.raises(JobError, match=r"“a” is int64 in 1\.parquet and string in 2\.parq"):
        read_folder(tmp_path, "*.parquet", PARQUET)


def test_folder_is_read_in_order_of_name(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name, row in (("b.csv", "2,y"), ("a.csv", "1,x"), ("sub/c.csv", "3,z")):
        (tmp_path / name).write_text(f"a,b\n{row}\n")
    assert read_folder(tmp_path)["b"].to_pylist() == ["x", "y", "z"]
    assert read_folder(tmp_path, "*.csv").num_rows == 2


def test_folder_with_other_header_or_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="No file here fits"):
        read_folder(tmp_path)
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "b.csv").write_text("a,c\n1,2\n")
    with pytest.raises(JobError, match=r"b\.csv has other columns than a\.csv"):
        read_folder(tmp_path)


def test_link_to_outside_is_not_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out.csv"
    inside.mkdir()
    outside.write_text("secret\n1\n")
    (inside / "link.csv").symlink_to(outside)
    with pytest.raises(JobError, match="a link to outside its folder"):
        read_folder(inside)


def sqlite_file(folder: Path) -> Path:
    path = folder / "shop.db"
    con = sqlite3.connect(path)
    con.execute("CREATE TABLE orders (id INTEGER, total, note TEXT, data BLOB)")
    rows = [(1, 2, "x", b"\x01"), (2, 2.5, None, None), (3, None, "y", b"")]
    con.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
    con.commit()
    con.close()
    return path


def read_sqlite(path: Path, **what: Any) -> pa.Table:
    connection = {"kind": "sqlite", "path": "x", **what}
    with open_source(asked(path, connection=connection)) as reader:
        return reader.read_all()


def test_sqlite_table_and_query_are_read(tmp_path: Path) -> None:
    path = sqlite_file(tmp_path)
    table = read_sqlite(path, table="orders")
    assert [str(each.type) for each in table.schema] == ["int64", "double", "string", "binary"]
    assert table["total"].to_pylist() == [2.0, 2.5, None]
    query = "SELECT note, count(*) AS n FROM orders GROUP BY note ORDER BY note -- all\n;"
    assert read_sqlite(path, query=query)["n"].to_pylist() == [1, 1, 1]


def test_sqlite_with_a_write_ahead_log_is_read(tmp_path: Path) -> None:
    path = sqlite_file(tmp_path)
    con = sqlite3.connect(path)
    con.execute("PRAGMA journal_mode=WAL")
    con.execute("INSERT INTO orders (id) VALUES (4)")
    con.commit()
    (tmp_path / "work").mkdir()
    connection = {"kind": "sqlite", "path": "x", "table": "orders"}
    wanted = asked(path, connection=connection)
    with open_source(type(wanted)(**{**vars(wanted), "temp": str(tmp_path / "work")})) as reader:
        assert reader.read_all().num_rows == 4
    con.close()


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ({"table": "nothing"}, "no table: nothing"),
        ({"query": "SELECT load_extension('x')"}, "Only reading is allowed|refused the query"),
        ({"query": "SELECT nope FROM orders"}, "no such column"),
    ],
)
def test_what_sqlite_refuses_is_said_plainly(tmp_path: Path, what: Any, text: str) -> None:
    with pytest.raises(JobError, match=text):
        read_sqlite(sqlite_file(tmp_path), **what)


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    path.write_bytes(b"not a database at all, but long enough to look at" * 50)
    with pytest.raises(JobError, match="not a whole SQLite database"):
        read_sqlite(path, table="orders")


def test_parquet_preview_reads_only_the_first_rows(tmp_path: Path) -> None:
    whole = parquet(TABLE, tmp_path / "whole")
    table = read(tmp_path, whole, PARQUET, columns=["b", "a"], sample_rows=20)
    assert table.to_pylist() == [{"b": "x", "a": number} for number in range(20)]
