"""Parquet files as a stream of batches."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from runtime.data.files import SourceFile, refuse_empty
from runtime.data.reading import BATCH_ROWS, Asked, choose_columns, limited
from runtime.job import JobError

BUFFER = 4 * 1024 * 1024


@contextmanager
def open_parquet(asked: Asked, is_thorough: bool) -> Iterator[pa.RecordBatchReader]:
    files = asked.files()
    schema = _schema(files[:1] if asked.sample_rows else files)
    columns = choose_columns(asked, schema.names)
    if asked.sample_rows:
        yield limited(_first_rows(files[0], schema, columns, asked.sample_rows), 0, _told)
        return
    options = ds.ParquetFragmentScanOptions(
        use_buffered_stream=True, buffer_size=BUFFER, pre_buffer=False
    )
    form = ds.ParquetFileFormat(default_fragment_scan_options=options)
    dataset = ds.dataset([file.path for file in files], format=form, schema=schema)
    scanner = dataset.scanner(
        columns=columns, batch_size=BATCH_ROWS, batch_readahead=4, fragment_readahead=1
    )
    yield limited(scanner.to_reader(), 0, _told)


def _first_rows(
    file: SourceFile, schema: pa.Schema, columns: Sequence[str], rows: int
) -> pa.RecordBatchReader:
    """Only the pages they are in: a scan would read a whole row group, often the whole file."""
    chosen = pa.schema([schema.field(name) for name in columns])

    def batches() -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(file.path, pre_buffer=False, buffer_size=BUFFER) as opened:
            for batch in opened.iter_batches(rows, columns=columns, use_threads=False):
                yield batch.select(columns).cast(chosen)
                return

    return pa.RecordBatchReader.from_batches(chosen, batches())


def _schema(files: Sequence[SourceFile]) -> pa.Schema:
    """The schema all the files have. Columns may be in another order, not of another type."""
    first = _read_schema(files[0])
    kinds = {field.name: field.type for field in first}
    for file in files[1:]:
        other = {field.name: field.type for field in _read_schema(file)}
        for name in kinds.keys() ^ other.keys():
            where, lacks = (files[0], file) if name in kinds else (file, files[0])
            raise JobError(
                f"{where.name} has a column “{name}” and {lacks.name} has not. Files read together "
                "have the same columns: choose a narrower pattern.",
                field="connection.pattern",
            )
        for name, kind in other.items():
            if kind != kinds[name]:
                raise JobError(
                    f"Column “{name}” is {kinds[name]} in {files[0].name} and {kind} in "
                    f"{file.name}. Files read together have the same types.",
                    field="connection.pattern",
                )
    return first


def _read_schema(file: SourceFile) -> pa.Schema:
    refuse_empty(file)
    try:
        return pq.read_schema(file.path).remove_metadata()
    except (pa.ArrowInvalid, OSError) as error:
        raise JobError(
            f"{file.name} is not a whole Parquet file: {_why(error)} Check that it was copied to "
            "its end, and that `format` is right.",
            field="format",
        ) from None


def _why(error: Exception) -> str:
    text = str(error)
    if "magic bytes" in text or "footer" in text.lower():
        return "the part at its end that describes it is missing or broken."
    return "what describes it cannot be read."


def _told(error: Exception) -> JobError | None:
    if isinstance(error, pa.ArrowInvalid | OSError | pa.ArrowNotImplementedError):
        why = str(error).splitlines()[0][:300]
        text = f"A Parquet file is damaged: {why} Copy it again from where it was written."
        return JobError(text, field="connection")
    return None
