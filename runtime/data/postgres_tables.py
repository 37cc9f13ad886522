"""A table or query of a PostgreSQL database as a stream of batches, by ADBC (binary COPY)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from runtime.data.addresses import AddressError, allowed_address
from runtime.data.profile import quote
from runtime.data.reading import Asked, choose_columns, limited
from runtime.documents.source import PostgresConnection, bare_query
from runtime.job import JobError

TYPE_NAME = b"ADBC:postgresql:typname"
CONNECT_SECONDS = 5
# What Arrow has no type for is read as text; NUMERIC, as the double that every stage works with.
AS_DOUBLE = frozenset({"numeric", "money"})


@contextmanager
def open_postgres(asked: Asked, is_thorough: bool) -> Iterator[pa.RecordBatchReader]:
    from adbc_driver_postgresql import dbapi

    connection = asked.document.connection
    assert isinstance(connection, PostgresConnection)  # noqa: S101  (chosen by its kind)
    try:
        with dbapi.connect(_address(asked, connection)) as con, con.cursor() as cursor:
            cursor.execute(_select(cursor, asked, connection))
            yield limited(cursor.fetch_record_batch(), 0, lambda error: _told(error, connection))
    except dbapi.Error as error:
        raise _told(error, connection) or error from None


def _address(asked: Asked, connection: PostgresConnection) -> str:
    """libpq's own spelling. The session may only read, and connects to the address looked at."""
    try:
        address = allowed_address(connection.host, connection.port, asked.allowed_hosts)
    except AddressError as error:
        raise JobError(str(error), field="connection.host") from None
    parts = {
        "host": connection.host,
        "hostaddr": address,
        "port": connection.port,
        "dbname": connection.database,
        "user": connection.user,
        "password": asked.secret,
        "passfile": "/dev/null",
        "sslmode": connection.tls,
        "gssencmode": "disable",
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "portolan",
        "options": "-c default_transaction_read_only=on",
    }
    if connection.tls == "verify-full":
        parts["sslrootcert"] = "system"
    return " ".join(f"{name}={_quoted(str(value))}" for name, value in parts.items())


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _select(cursor: Any, asked: Asked, connection: PostgresConnection) -> str:
    if connection.table:
        named = ".".join(quote(part) for part in connection.table.split("."))
        sql = f"SELECT * FROM {named}"  # noqa: S608
    else:
        sql = bare_query(connection.query, "postgres")
    cursor.execute(f"SELECT * FROM (\n{sql}\n) AS t LIMIT 0")  # noqa: S608
    schema = cursor.fetch_record_batch().schema
    fields = {field.name: field for field in schema}
    columns = ", ".join(
        _column(fields[name]) for name in choose_columns(asked, [each.name for each in schema])
    )
    limit = f" LIMIT {asked.sample_rows}" if asked.sample_rows else ""
    return f"SELECT {columns} FROM (\n{sql}\n) AS t{limit}"  # noqa: S608


def _column(field: pa.Field) -> str:
    column = quote(field.name)
    kind = (field.metadata or {}).get(TYPE_NAME, b"").decode()
    if kind in AS_DOUBLE:
        cast = "::numeric" if kind == "money" else ""
        return f"{column}{cast}::double precision AS {column}"
    is_strange = isinstance(field.type, pa.BaseExtensionType) or kind in ("uuid", "json", "jsonb")
    is_span = pa.types.is_duration(field.type) or pa.types.is_interval(field.type)
    if is_strange or is_span or pa.types.is_fixed_size_binary(field.type):
        return f"{column}::text AS {column}"
    return column


def _told(error: Exception, connection: PostgresConnection) -> JobError | None:
    """The server's word, which never holds the password, with what to do about it."""
    where = f"{connection.host}:{connection.port}"
    text = _own_words(str(error))
    low = text.lower()
    if "password" in low or "authentication" in low or "pg_hba" in low:
        return JobError(
            f"{where} did not let {connection.user} in. Check the user and the source's secret.",
            field="secret",
        )
    if "does not exist" in low and "database" in low:
        return JobError(f"{where} has no such database: {text}", field="connection.database")
    if "does not exist" in low or "permission denied" in low:
        field = "connection.table" if connection.table else "connection.query"
        return JobError(f"The database refused it: {text}", field=field)
    if "connect" in low or "timeout" in low or "ssl" in low:
        return JobError(f"{where} cannot be reached: {text}", field="connection.host")
    if type(error).__module__.startswith(("adbc", "pyarrow")) or isinstance(error, OSError):
        return JobError(f"The database refused it: {text}", field="connection.query")
    return None


def _own_words(text: str) -> str:
    """The server's first line, without the driver's address of it."""
    line = next((part for part in text.splitlines() if part.strip()), "")
    for mark in ("ERROR: ", "FATAL: ", "failed: "):
        if mark in text:
            line = text.split(mark, 1)[1].splitlines()[0]
    return line.strip()[:300]
