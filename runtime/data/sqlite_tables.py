"""A table or query of an SQLite file as a stream of batches. The file is only ever read."""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import pyarrow as pa

from runtime.data.profile import quote
from runtime.data.reading import BATCH_ROWS, Asked, choose_columns, limited
from runtime.documents.source import SqliteConnection, bare_query
from runtime.job import JobError

READING = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
FORBIDDEN_FUNCTIONS = frozenset(
    {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"}
)
PEEKED = 200


@contextmanager
def open_sqlite(asked: Asked, is_thorough: bool) -> Iterator[pa.RecordBatchReader]:
    """Each column's type is the one that all its values have: SQLite's own are only advice."""
    with closing(_connect(asked)) as con:
        try:
            sql, names = _select(con, asked)
            wanted = choose_columns(asked, names)
            schema = _schema(con, sql, wanted)
            cursor = con.execute(_named(sql, wanted, asked.sample_rows))
        except sqlite3.Error as error:
            raise _told(error) or error from None
        batches = _batches(cursor, schema)
        yield limited(pa.RecordBatchReader.from_batches(schema, batches), 0, _told)


def _connect(asked: Asked) -> sqlite3.Connection:
    path = asked.path
    if not os.path.isfile(path):
        raise JobError("This file is not there. Check the path.", field="connection.path")
    if os.path.exists(f"{path}-wal") and os.path.getsize(f"{path}-wal"):
        path = _copied(path, asked.temp)
    con = sqlite3.connect(f"file:{_escaped(path)}?mode=ro", uri=True, timeout=5)
    con.execute("PRAGMA trusted_schema = OFF")
    con.set_authorizer(_allow)
    return con


def _copied(path: str, temp: str) -> str:
    """A file with a write-ahead log can be read only by whoever may write beside it."""
    copy = os.path.join(temp, "source.sqlite")
    for end in ("", "-wal"):
        shutil.copyfile(path + end, copy + end)
    return copy


def _escaped(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _allow(action: int, first: str | None, second: str | None, *_: Any) -> int:
    is_bad = action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in FORBIDDEN_FUNCTIONS
    return sqlite3.SQLITE_OK if action in READING and not is_bad else sqlite3.SQLITE_DENY


def _select(con: sqlite3.Connection, asked: Asked) -> tuple[str, list[str]]:
    connection = asked.document.connection
    assert isinstance(connection, SqliteConnection)  # noqa: S101  (chosen by its kind)
    sql = (
        f"SELECT * FROM {quote(connection.table)}"  # noqa: S608
        if connection.table
        else bare_query(connection.query, "sqlite")
    )
    cursor = con.execute(f"SELECT * FROM (\n{sql}\n) LIMIT 0")  # noqa: S608
    # SQLite itself tells two columns of one name apart, as `a` and `a:1`.
    return sql, [str(each[0]) for each in cursor.description]


def _named(sql: str, names: Sequence[str], rows: int) -> str:
    columns = ", ".join(quote(name) for name in names)
    limit = f" LIMIT {rows}" if rows else ""
    return f"SELECT {columns} FROM (\n{sql}\n){limit}"  # noqa: S608


def _schema(con: sqlite3.Connection, sql: str, names: Sequence[str]) -> pa.Schema:
    fields = []
    for start in range(0, len(names), PEEKED):
        part = names[start : start + PEEKED]
        kinds = ", ".join(f"group_concat(DISTINCT typeof({quote(name)}))" for name in part)
        row = con.execute(f"SELECT {kinds} FROM (\n{sql}\n)").fetchone()  # noqa: S608
        for name, said in zip(part, row, strict=True):
            fields.append(pa.field(name, _type(set((said or "").split(",")) - {"null", ""})))
    return pa.schema(fields)


def _type(kinds: set[str]) -> pa.DataType:
    if kinds == {"integer"}:
        return pa.int64()
    if kinds and kinds <= {"integer", "real"}:
        return pa.float64()
    return pa.binary() if kinds == {"blob"} else pa.string()


def _batches(cursor: sqlite3.Cursor, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    while rows := cursor.fetchmany(BATCH_ROWS):
        columns = zip(*rows, strict=True)
        yield pa.RecordBatch.from_arrays(
            [
                pa.array(
                    map(_text, values) if pa.types.is_string(field.type) else values, field.type
                )
                for field, values in zip(schema, columns, strict=True)
            ],
            schema=schema,
        )


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if value is None else str(value)


def _told(error: Exception) -> JobError | None:
    text = str(error)
    if isinstance(error, OverflowError):
        return JobError("A number is too large for a column of 64 bits.", field="columns")
    if not isinstance(error, sqlite3.Error):
        return None
    if "not a database" in text or "malformed" in text:
        return JobError(
            "This file is not a whole SQLite database. Copy it again.", field="connection.path"
        )
    if "not authorized" in text or "prohibited" in text:
        return JobError("Only reading is allowed here. Write one SELECT.", field="connection.query")
    if "no such table" in text:
        return JobError(f"There is {text.replace('no such', 'no')}.", field="connection.table")
    return JobError(f"SQLite refused the query: {text}.", field="connection.query")
