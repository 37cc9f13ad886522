"""A source: how to reach some data, what of it to read, and in which format it is."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from runtime.documents.base import Document

Encoding = Literal[
    "utf-8",
    "utf-16",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-9",
    "iso-8859-15",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "windows-1254",
    "ibm437",
    "ibm850",
    "mac-roman",
    "koi8-r",
    "shift-jis",
    "euc-jp",
    "euc-kr",
    "gb18030",
    "big5",
]
ColumnType = Literal["int64", "double", "string", "bool", "date32[day]", "timestamp[us]"]
Types = Annotated[
    dict[str, ColumnType],
    Field(
        default_factory=dict,
        max_length=2000,
        description="Types by column name. Columns that are not named here get the narrowest type "
        "that all their values fit.",
    ),
]


class ParquetFormat(Document):
    """Apache Parquet. Types are in the files."""

    kind: Literal["parquet"] = Field(description="Parquet files.")


class CsvFormat(Document):
    """Text with a separator; quotes are doubled within quotes (RFC 4180)."""

    kind: Literal["csv"] = Field(description="Comma-separated values, or another separator.")
    delimiter: str = Field(
        default=",", min_length=1, max_length=1, description="The character between two values."
    )
    encoding: Encoding = Field(default="utf-8", description="How the text is encoded.")
    header: bool = Field(
        default=True,
        description="The first line names the columns. Without, they are column_1, column_2 …",
    )
    types: Types

    @field_validator("delimiter")
    @classmethod
    def _separates(cls, value: str) -> str:
        if value in '"\r\n' or value.isalnum() or ord(value) > 127:
            raise ValueError("Use a comma, semicolon, tab or another sign that is no letter.")
        return value


class JsonLinesFormat(Document):
    """One JSON object a line, UTF-8."""

    kind: Literal["jsonl"] = Field(description="JSON lines: one object a line.")
    types: Types


Format = Annotated[ParquetFormat | CsvFormat | JsonLinesFormat, Field(discriminator="kind")]


class UploadConnection(Document):
    """A file that was sent to the portal."""

    kind: Literal["upload"] = Field(description="An uploaded file.")
    upload: str = Field(description="The upload's uuid, as POST /api/v1/uploads/ answered it.")

    @field_validator("upload")
    @classmethod
    def _uuid(cls, value: str) -> str:
        if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value):
            raise ValueError("This is no uuid. Use the one the upload was answered with.")
        return value


class FolderConnection(Document):
    """Files in a folder on the portal's machine, under a root the site allows."""

    kind: Literal["folder"] = Field(description="Files in a folder on the portal's machine.")
    path: str = Field(
        min_length=1,
        max_length=1000,
        description="The folder: absolute, or relative to one of the allowed roots.",
    )
    pattern: str = Field(
        default="*",
        min_length=1,
        max_length=200,
        description="Which files in it: `*` and `?` within a name, `**/` for folders below. They "
        "are read one after another, in order of name, and must have the same columns.",
    )

    @field_validator("pattern")
    @classmethod
    def _below(cls, value: str) -> str:
        if value.startswith("/") or ".." in value.split("/") or "\0" in value:
            raise ValueError("A pattern stays in the folder: no “..”, no “/” at its start.")
        return value

    @field_validator("path")
    @classmethod
    def _path(cls, value: str) -> str:
        return _no_null(value)


class SqliteConnection(Document):
    """A table or query of an SQLite database file under a root the site allows."""

    kind: Literal["sqlite"] = Field(description="An SQLite database file.")
    path: str = Field(
        min_length=1,
        max_length=1000,
        description="The file: absolute, or relative to one of the allowed roots.",
    )
    table: str = Field(default="", max_length=200, description="The table or view to read.")
    query: str = Field(default="", max_length=20_000, description="Or one SELECT to run.")

    @field_validator("path")
    @classmethod
    def _path(cls, value: str) -> str:
        return _no_null(value)

    @model_validator(mode="after")
    def _one(self) -> Self:
        _refuse_unless_one(self.table, self.query, "sqlite")
        return self


class PostgresConnection(Document):
    """A table or query of a PostgreSQL database. Its password is the source's secret."""

    kind: Literal["postgresql"] = Field(description="A PostgreSQL database.")
    host: str = Field(
        pattern=r"^[A-Za-z0-9._:-]{1,253}$", description="Host name or address of the server."
    )
    port: int = Field(default=5432, ge=1, le=65535, description="The port it listens on.")
    database: str = Field(min_length=1, max_length=63, description="The database's name.")
    user: str = Field(min_length=1, max_length=63, description="Whom to sign in as.")
    tls: Literal["prefer", "require", "verify-full"] = Field(
        default="prefer",
        description="Whether the connection must be encrypted, and the server's certificate "
        "checked. `prefer` encrypts where the server can.",
    )
    table: str = Field(
        default="", max_length=200, description="The table or view to read: `name`, `schema.name`."
    )
    query: str = Field(default="", max_length=20_000, description="Or one SELECT to run.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        _refuse_unless_one(self.table, self.query, "postgres")
        return self


Connection = Annotated[
    UploadConnection | FolderConnection | SqliteConnection | PostgresConnection,
    Field(discriminator="kind"),
]


class SourceDocument(Document):
    """A connection, what to read from it, and, for files, their format."""

    connection: Connection = Field(description="Where the data is and how to reach it.")
    format: Format | None = Field(
        default=None, description="How the files are written. Databases have none."
    )
    columns: list[str] = Field(
        default_factory=list,
        max_length=2000,
        description="Only these columns, in this order. None named: all of them.",
    )

    @field_validator("columns")
    @classmethod
    def _once(cls, value: list[str]) -> list[str]:
        twice = sorted({name for name in value if value.count(name) > 1}) if value else []
        if twice:
            raise ValueError(f"“{twice[0]}” is named twice. Name each column once.")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.has_files and self.format is None:
            raise ValueError("Files need a format: parquet, csv or jsonl.")
        if not self.has_files and self.format is not None:
            raise ValueError("A database has no format. Leave it out.")
        return self

    @property
    def has_files(self) -> bool:
        return isinstance(self.connection, UploadConnection | FolderConnection)


def _no_null(value: str) -> str:
    if "\0" in value:
        raise ValueError("A path holds no null character.")
    return value


def _refuse_unless_one(table: str, query: str, dialect: str) -> None:
    if bool(table) == bool(query):
        raise ValueError("Say either `table` or `query`: one of them, not both.")
    if query:
        refuse_not_select(query, dialect)


def refuse_not_select(sql: str, dialect: str) -> None:
    """Raise ValueError unless the SQL is exactly one SELECT that changes nothing. A second net:
    the database itself is opened for reading only."""
    import sqlglot
    from sqlglot import exp

    try:
        found = [each for each in sqlglot.parse(sql, dialect=dialect) if each is not None]
    except RecursionError:
        raise ValueError("This query nests too deeply. Write it flatter.") from None
    except sqlglot.errors.SqlglotError as error:
        where = getattr(error, "errors", None) or [{}]
        place = f" at line {where[0]['line']}, column {where[0]['col']}" if where[0] else ""
        raise ValueError(f"This query cannot be read as SQL{place}. Write one SELECT.") from None
    if len(found) != 1:
        raise ValueError(f"These are {len(found)} statements. Write exactly one SELECT.")
    changes = (exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock, exp.Pragma, exp.Attach)
    is_select = isinstance(found[0], exp.Query)
    if not is_select or any(
        isinstance(each, changes) and not isinstance(each, exp.Query) for each in found[0].walk()
    ):
        raise ValueError("Only reading is allowed here. Write exactly one SELECT.")


def bare_query(sql: str, dialect: str) -> str:
    """The one statement without its closing semicolon, so that it can stand in brackets."""
    import sqlglot

    tokens = sqlglot.tokenize(sql, dialect=dialect)
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    return sql[: tokens[-1].end + 1] if tokens else sql
