"""The ingest job: reads a source and writes what it holds as a dataset's next version."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from runtime.data.delta import (
    NO_ROOM,
    DataError,
    DiskFull,
    Written,
    columns_of,
    find_version,
    open_dataset,
    storable,
    version_files,
    write_version,
)
from runtime.data.profile import profile_table
from runtime.data.reading import Asked, open_source
from runtime.job import JobError, run

PROFILE_MEMORY_MB = 384


def main(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs are `{"datasets": {<slug>: …}}`. Done again under the same job, nothing is written
    twice."""
    table, key = str(spec["table"]), f"{spec['job']}/{spec['dataset_slug']}"
    temp = os.environ.get("TMPDIR", ".")
    asked = Asked.of({**spec, "secret": _secret(spec)}, temp=temp)
    try:
        written = find_version(table, key) or _write(asked, spec, table, key)
    except DiskFull as error:
        raise JobError(str(error)) from None
    except DataError as error:
        raise JobError(str(error), field=f"columns.{error.column}") from None
    except (OSError, duckdb.Error) as error:
        if not NO_ROOM.search(str(error)):
            raise
        text = "There was no room on the disk; the dataset is as it was. Make room, then try again."
        raise JobError(text) from None
    print(f"Version {written.number}: {written.rows:,} rows, {written.size_bytes:,} bytes.")  # noqa: T201
    # What reading and writing held goes back before the profile takes its own.
    pa.default_memory_pool().release_unused()
    files = version_files(table, written.number)
    source: Any = files or open_dataset(table, written.number).to_table()
    profile = profile_table(
        source, memory_mb=PROFILE_MEMORY_MB, temp_folder=os.path.join(temp, "profile")
    )
    said = {
        "dataset": spec["dataset"],
        "number": written.number,
        "rows": written.rows,
        "size_bytes": written.size_bytes,
        "columns": written.columns,
        "profile": profile,
        "commit_key": key,
    }
    return {"datasets": {spec["dataset_slug"]: said}}


def _write(asked: Asked, spec: Mapping[str, Any], table: str, key: str) -> Written:
    from runtime.data.text_tables import TypeMisfit

    try:
        return _write_once(asked, spec, table, key, is_thorough=False)
    except TypeMisfit as misfit:
        print(f"{misfit} Looking at all rows for the types.")  # noqa: T201
        return _write_once(asked, spec, table, key, is_thorough=True)


def _write_once(
    asked: Asked, spec: Mapping[str, Any], table: str, key: str, *, is_thorough: bool
) -> Written:
    metadata = {"portolan.job": str(spec["job"])}
    with open_source(asked, is_thorough=is_thorough) as reader:
        stored = storable(reader)
        if spec.get("schema_change") != "accept":
            refuse_change(spec.get("columns") or (), columns_of(stored.schema))
        return write_version(table, stored, commit_key=key, metadata=metadata)


def refuse_change(before: Sequence[Mapping[str, str]], after: Sequence[Mapping[str, str]]) -> None:
    """Raise JobError where the columns are not those of the version before, naming them."""
    if not before:
        return
    old = {each["name"]: each["type"] for each in before}
    new = {each["name"]: each["type"] for each in after}
    parts = [
        ("new", [name for name in new if name not in old]),
        ("gone", [name for name in old if name not in new]),
        (
            "of another type",
            [f"{n} ({old[n]} → {new[n]})" for n in new if n in old and old[n] != new[n]],
        ),
    ]
    told = [f"{what}: {_some(names)}" for what, names in parts if names]
    if told:
        raise JobError(
            f"The source's columns are not those of the dataset's last version; {'; '.join(told)}. "
            "Put the source right, or ingest with `schema_change` “accept”.",
            field="schema_change",
        )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"


def _secret(spec: Mapping[str, Any]) -> str:
    if not spec.get("secret_file"):
        return ""
    with open(spec["secret_file"], encoding="utf-8") as file:
        return file.read()


def run_job() -> int:
    return run(main)
