"""Opens a source, whatever its kind, as a stream of Arrow batches. Memory holds a few of them."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from runtime.data.files import SourceFile, find_files
from runtime.documents.source import (
    CsvFormat,
    FolderConnection,
    JsonLinesFormat,
    PostgresConnection,
    SourceDocument,
    SqliteConnection,
)
from runtime.job import JobError

MAX_COLUMNS = 2_000
BATCH_ROWS = 16_384
Stream = AbstractContextManager[pa.RecordBatchReader]


@dataclass(frozen=True)
class Asked:
    """What to read. `path` is the upload, folder or database file, resolved; `name` the upload's
    own name; `sample_rows` 0 means all of it. `temp` is a folder to work in."""

    document: SourceDocument
    path: str = ""
    name: str = ""
    secret: str = ""
    allowed_hosts: Sequence[str] = ()
    sample_rows: int = 0
    temp: str = "."
    memory_mb: int = 512

    @classmethod
    def of(cls, spec: dict[str, Any], **more: Any) -> "Asked":
        """From what an engine puts into a spec."""
        return cls(
            document=SourceDocument.model_validate(spec["definition"]),
            path=spec.get("path", ""),
            name=spec.get("name", ""),
            secret=spec.get("secret", ""),
            allowed_hosts=spec.get("allowed_hosts", ()),
            **more,
        )

    def files(self) -> list[SourceFile]:
        connection = self.document.connection
        if isinstance(connection, FolderConnection):
            return find_files(self.path, connection.pattern)
        return [SourceFile(self.name or os.path.basename(self.path), self.path)]


def open_source(asked: Asked, *, is_thorough: bool = False) -> Stream:
    """The source's rows, in the order they are in. Raise JobError, now or while reading, for what
    the user can mend.

    Texts' column types are those of the first rows; `is_thorough` looks at all rows for them.
    """
    opener = _opener(asked)
    return opener(asked, is_thorough)


def _opener(asked: Asked) -> Callable[[Asked, bool], Stream]:
    # Each kind's libraries are loaded only where they are needed.
    connection, form = asked.document.connection, asked.document.format
    if isinstance(connection, SqliteConnection):
        from runtime.data.sqlite_tables import open_sqlite

        return open_sqlite
    if isinstance(connection, PostgresConnection):
        from runtime.data.postgres_tables import open_postgres

        return open_postgres
    if isinstance(form, CsvFormat | JsonLinesFormat):
        from runtime.data.text_tables import open_text

        return open_text
    from runtime.data.parquet_files import open_parquet

    return open_parquet


def choose_columns(asked: Asked, names: Sequence[str]) -> list[str]:
    """Of the columns there are, those to read. Raise JobError for one that is not there, for two
    of one name, for one without, and for too many."""
    _refuse_names(names)
    wanted = list(asked.document.columns) or list(names)
    missing = sorted(set(wanted) - set(names))
    if missing:
        known = ", ".join(names[:20]) + (" …" if len(names) > 20 else "")
        raise JobError(f"There is no column “{missing[0]}”. There are: {known}.", field="columns")
    if len(wanted) > MAX_COLUMNS:
        raise JobError(
            f"There are {len(wanted):,} columns, and a dataset has at most {MAX_COLUMNS:,}. Name "
            "the ones you need in `columns`.",
            field="columns",
        )
    return wanted


def _refuse_names(names: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if not name.strip():
            raise JobError(
                f"Column {number:,} has no name. Name it at the source, or, for a CSV without a "
                "header, set `format.header` to false.",
                field="format",
            )
        if len(name) > 255:
            raise JobError(f"The name of column {number:,} is longer than 255.", field="format")
        other = seen.setdefault(name.lower(), number)
        if other != number:
            raise JobError(
                f"Columns {other:,} and {number:,} are both called “{name}” (upper and lower case "
                "count as the same). Give one of them another name at the source.",
                field="format",
            )


def limited(
    reader: pa.RecordBatchReader, rows: int, told: Callable[[Exception], JobError | None]
) -> pa.RecordBatchReader:
    """The reader's first rows (0: all), and its errors in the words `told` has for them."""

    def batches() -> Iterator[pa.RecordBatch]:
        left = rows
        try:
            for batch in reader:
                yield batch.slice(0, left) if rows else batch
                left -= batch.num_rows
                if rows and left <= 0:
                    return
        except JobError:
            raise
        except Exception as error:
            if (plain := told(error)) is None:
                raise
            raise plain from None

    return pa.RecordBatchReader.from_batches(reader.schema, batches())
