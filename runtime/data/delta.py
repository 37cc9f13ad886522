"""Dataset versions as a Delta table: whole or not there, written once, never lost.

`commit_key` makes writing safe to repeat: it is committed with the data, as the table's
application transaction, and whoever comes again under the same key gets what was written then.
Writers of one table wait for each other by a lock that ends with its process. A version overwrites
the one before; its files stay, so every version can be read for good.
"""

import fcntl
import json
import os
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Transaction,
    WriterProperties,
    write_deltalake,
)

if TYPE_CHECKING:
    import pyarrow.dataset as ds

LOCK = ".portolan.lock"
PENDING = ".portolan.pending"
# Commits and what was deleted are kept: without this, versions older than 30 days would go.
KEEP = "interval 36500 days"
CONFIGURATION: dict[str, str | None] = {
    "delta.logRetentionDuration": KEEP,
    "delta.deletedFileRetentionDuration": KEEP,
}
ROW_GROUP_ROWS = 131_072
NO_ROOM = re.compile(r"os error (28|27|122)|No space left|File too large|quota exceeded", re.I)
_WIDER = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.int64(),
    pa.float16(): pa.float32(),
    pa.null(): pa.string(),
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.binary_view(): pa.binary(),
}


class DataError(Exception):
    """The data cannot be written as it is; `column` names where, "" for the whole."""

    def __init__(self, message: str, column: str = "") -> None:
        super().__init__(message)
        self.column = column


class DiskFull(Exception):
    """There was no room for the new version. The dataset is as it was before."""


@dataclass(frozen=True)
class Written:
    """A version that is there. `columns` are {"name", "type"}; `is_new` False: a retry found it."""

    number: int
    rows: int
    size_bytes: int
    columns: list[dict[str, str]]
    is_new: bool


def write_version(
    path: str,
    reader: pa.RecordBatchReader,
    *,
    commit_key: str,
    mode: Literal["overwrite", "append"] = "overwrite",
    metadata: Mapping[str, str] | None = None,
) -> Written:
    """Write all that `reader` gives as the table's next version, or find the one that was written
    under this `commit_key` before; then `reader` is left unread.

    Memory holds a few batches at a time. Raise DataError for a value that does not fit its column,
    DiskFull when there is no room; whatever the reader raises passes through. After any of them
    the table is at its old version, and what was half written is gone.
    """
    os.makedirs(path, mode=0o700, exist_ok=True)
    with _only_writer(path):
        _clear_leavings(path)
        table = _open(path)
        if table is not None and (number := table.transaction_version(commit_key)) is not None:
            return _written(path, number, is_new=False)
        number = 0 if table is None else table.version() + 1
        _write(path, storable(reader), commit_key, number, mode, metadata or {})
        return _written(path, number, is_new=True)


def find_version(path: str, commit_key: str) -> Written | None:
    """What was written under the key, if anything was."""
    table = _open(path)
    number = None if table is None else table.transaction_version(commit_key)
    return None if number is None else _written(path, number, is_new=False)


def version_files(path: str, number: int) -> list[str]:
    """The Parquet files, as absolute paths, that hold the version. None for a version of no rows;
    `open_dataset` knows its columns."""
    return _files(_at(path, number))


@dataclass(frozen=True)
class Held:
    """What a version holds, as its log tells: Parquet files, columns, rows and bytes."""

    files: list[str]
    schema: pa.Schema
    rows: int
    size_bytes: int


def look_at(path: str, number: int) -> Held:
    """What a version holds, without reading any of it."""
    table = _at(path, number)
    adds = pa.table(table.get_add_actions(flatten=True))
    files = sorted(uri.removeprefix("file://") for uri in table.file_uris())
    rows, size = sum(adds["num_records"].to_pylist()), sum(adds["size_bytes"].to_pylist())
    return Held(files, table_schema(table), rows, size)


def open_dataset(path: str, number: int) -> "ds.Dataset":
    """The version as an Arrow dataset, read only as far as it is asked for."""
    # Takes long to import, and not everybody needs it.
    import pyarrow.dataset as ds

    table = _at(path, number)
    schema = table_schema(table)
    files = _files(table)
    if not files:
        return ds.dataset(schema.empty_table())
    return ds.dataset(files, format="parquet", schema=schema)


def _files(table: DeltaTable) -> list[str]:
    names = (urllib.parse.unquote(uri).rpartition("/")[2] for uri in table.file_uris())
    folder = urllib.parse.unquote(table.table_uri).removeprefix("file://").rstrip("/")
    return sorted(os.path.join(folder, name) for name in names)


def table_schema(table: DeltaTable) -> pa.Schema:
    """The table's columns as Arrow's own types."""
    return _plain(pa.schema(table.schema().to_arrow()))


def current_schema(path: str) -> pa.Schema | None:
    """The columns of the table as it is now; None where there is none yet."""
    table = _open(path)
    return None if table is None else table_schema(table)


def columns_of(schema: pa.Schema) -> list[dict[str, str]]:
    """Names and Arrow type names, as a DatasetVersion keeps them."""
    return [{"name": field.name, "type": str(field.type)} for field in schema]


def storable(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The same rows in types that Delta can hold: see `storable_type`. Raise DataError for two
    columns of one name, which Delta takes for the same when only their case differs."""
    seen: set[str] = set()
    for name in reader.schema.names:
        if name.lower() in seen:
            raise DataError(
                f"Two columns are called {name!r} (upper and lower case count as the same). "
                "Give one of them another name.",
                name,
            )
        seen.add(name.lower())
    target = pa.schema(
        [pa.field(each.name, storable_type(each.type, each.name)) for each in reader.schema]
    )
    if target == reader.schema:
        return reader
    return pa.RecordBatchReader.from_batches(target, _casted(reader, target))


class Kept:
    """The rows that pass through `reader` on their way to a version, kept while they are few:
    whoever wants to look at them needs not read them again. `table` is None when they took more
    than `limit_bytes` or were not read to the end."""

    def __init__(self, reader: pa.RecordBatchReader, limit_bytes: int) -> None:
        self.table: pa.Table | None = None
        self.reader = pa.RecordBatchReader.from_batches(reader.schema, self._pass(reader))
        self._left = limit_bytes

    def _pass(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        kept: list[pa.RecordBatch] = []
        for batch in reader:
            self._left -= batch.nbytes
            if self._left >= 0:
                kept.append(batch)
            else:
                kept.clear()
            yield batch
        if self._left >= 0:
            self.table = pa.Table.from_batches(kept, reader.schema)


def storable_type(kind: pa.DataType, name: str = "") -> pa.DataType:
    """The nearest type that Delta can hold without losing anything but nanoseconds."""
    if kind in _WIDER:
        return _WIDER[kind]
    if pa.types.is_dictionary(kind):
        return storable_type(kind.value_type, name)
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC" if kind.tz else None)
    if pa.types.is_date(kind):
        return pa.date32()
    if pa.types.is_time(kind):
        return pa.string()
    if pa.types.is_decimal(kind):
        return pa.decimal128(kind.precision, kind.scale) if kind.precision <= 38 else pa.float64()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(storable_type(kind.value_type, name))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, storable_type(f.type, name)) for f in kind])
    if pa.types.is_duration(kind) or pa.types.is_interval(kind) or pa.types.is_union(kind):
        raise DataError(
            f"Column {name!r} holds {kind}, which a dataset cannot. Turn it into a number or a "
            "text, or leave it out.",
            name,
        )
    return kind


def _casted(reader: pa.RecordBatchReader, target: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow.compute as pc

    for batch in reader:
        columns = []
        for field, column in zip(target, batch.columns, strict=True):
            options = pc.CastOptions(field.type, allow_time_truncate=True)
            try:
                columns.append(pc.cast(column, options=options))
            except pa.ArrowInvalid as error:
                text = f"Column {field.name!r} holds a value that does not fit: {error}"
                raise DataError(text, field.name) from None
        yield pa.RecordBatch.from_arrays(columns, schema=target)


def _plain(schema: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(each.name, storable_type(each.type)) for each in schema])


def _open(path: str) -> DeltaTable | None:
    return DeltaTable(path) if DeltaTable.is_deltatable(path) else None


def _at(path: str, number: int) -> DeltaTable:
    return DeltaTable(path, version=number)


def _written(path: str, number: int, *, is_new: bool) -> Written:
    table = _at(path, number)
    files = pa.table(table.get_add_actions(flatten=True))
    rows = sum(files["num_records"].to_pylist())
    size = sum(files["size_bytes"].to_pylist())
    return Written(number, rows, size, columns_of(table_schema(table)), is_new)


def _write(
    path: str,
    reader: pa.RecordBatchReader,
    commit_key: str,
    number: int,
    mode: Literal["overwrite", "append"],
    metadata: Mapping[str, str],
) -> None:
    """Commit, or leave nothing behind. An error of the reader's own comes out as it went in."""
    source = _Watched(reader)
    _note_pending(path)
    try:
        write_deltalake(
            path,
            source.reader,
            mode=mode,
            schema_mode="overwrite" if mode == "overwrite" else None,
            configuration=CONFIGURATION if number == 0 else None,
            writer_properties=WriterProperties(
                compression="ZSTD", compression_level=1, max_row_group_size=ROW_GROUP_ROWS
            ),
            commit_properties=CommitProperties(
                custom_metadata={**metadata, "portolan.commit_key": commit_key},
                app_transactions=[Transaction(commit_key, number)],
            ),
            post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
        )
    except Exception as error:
        _clear_leavings(path)
        if source.error is not None:
            raise source.error from None
        if NO_ROOM.search(str(error)):
            raise DiskFull(
                "There was no room on the disk for the new version; the dataset is as it was. "
                "Make room, or raise the limit of disk for jobs, then launch it again."
            ) from None
        raise
    os.unlink(os.path.join(path, PENDING))


class _Watched:
    """A reader that remembers what its source raised: Delta's writer would only pass on a text."""

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self.error: Exception | None = None
        self.reader = pa.RecordBatchReader.from_batches(reader.schema, self._batches(reader))

    def _batches(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        try:
            yield from reader
        except Exception as error:
            self.error = error
            raise


@contextmanager
def _only_writer(path: str) -> Iterator[None]:
    lock = os.open(os.path.join(path, LOCK), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _data_files(path: str) -> set[str]:
    return {name for name in os.listdir(path) if not name.startswith((".", "_"))}


def _note_pending(path: str) -> None:
    """Write down which files are there before a write, so that a crash's can be told apart."""
    draft = os.path.join(path, f"{PENDING}.draft")
    with open(draft, "w", encoding="utf-8") as file:
        json.dump(sorted(_data_files(path)), file)
    os.rename(draft, os.path.join(path, PENDING))


def _clear_leavings(path: str) -> None:
    """Remove what a write left that never came to its commit: killed, or out of room."""
    note = os.path.join(path, PENDING)
    try:
        with open(note, encoding="utf-8") as file:
            known: set[str] = set(json.load(file))
    except FileNotFoundError:
        return
    table: Any = _open(path)
    if table is not None:
        known |= {os.path.basename(uri) for uri in table.file_uris()}
    for name in _data_files(path) - known:
        with suppress(IsADirectoryError):
            os.unlink(os.path.join(path, name))
    os.unlink(note)
