"""Reads bytes as a source would, without a portal around."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from runtime.data.reading import Asked, open_source
from runtime.documents.base import validate_document
from runtime.documents.source import SourceDocument
from runtime.job import JobError

CSV: dict[str, Any] = {"kind": "csv"}
JSONL: dict[str, Any] = {"kind": "jsonl"}
PARQUET: dict[str, Any] = {"kind": "parquet"}
UPLOAD = {"kind": "upload", "upload": "00000000-0000-0000-0000-000000000000"}


def asked(path: Path, form: Any = None, *, connection: Any = None, **more: Any) -> Asked:
    document = {"connection": connection or UPLOAD, "columns": more.pop("columns", [])}
    if form:
        document["format"] = form
    source = validate_document(SourceDocument, document)
    folder = path if path.is_dir() else path.parent
    return Asked(source, str(path), path.name, temp=str(folder), **more)


def read(folder: Path, content: bytes, form: Any, *, is_thorough: bool = False, **more: Any) -> Any:
    """The content as an Arrow table, read from a file called `sent`."""
    path = folder / "sent"
    path.write_bytes(content)
    with open_source(asked(path, form, **more), is_thorough=is_thorough) as reader:
        return reader.read_all()


def refused(folder: Path, content: bytes, form: Any, **more: Any) -> JobError:
    """What is said of content that cannot be read."""
    with pytest.raises(JobError) as caught:
        read(folder, content, form, **more)
    return caught.value


def parquet(table: pa.Table, path: Path) -> bytes:
    import pyarrow.parquet as pq

    pq.write_table(table, path)
    return path.read_bytes()
