"""A run's profile of what it wrote: one and the same, from the rows on their way or read again."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from runtime.data.delta import version_files, write_version
from runtime.data.profile import profile_table
from runtime.pipelines.run import main
from tests.runtime.data.test_profile import assert_alike

ROWS = 30_000
SOURCE = pa.table(
    {"id": range(ROWS), "text": [f"t{each % 7}" for each in range(ROWS)], "void": [None] * ROWS}
)


def run(folder: Path, *, mode: str = "overwrite", job: str = "1", memory_mb: int = 512) -> Any:
    write_version(str(folder / "in"), SOURCE.to_reader(), commit_key="made/in")
    steps = {
        "rows": {"operation": "read", "dataset": "in"},
        "more": {"operation": "derive", "input": "rows", "columns": {"half": "id / 2"}},
        "save": {"operation": "write", "input": "more", "dataset": "out", "mode": mode},
    }
    spec = {
        "definition": json.dumps({"steps": steps}),
        "parameters": {},
        "inputs": {"rows": {"path": str(folder / "in"), "number": 0}},
        "outputs": {"save": {"path": str(folder / "out"), "dataset": "d"}},
        "job": job,
        "memory_mb": memory_mb,
        "threads": 2,
        "temp_folder": str(folder / "spill"),
    }
    return main(spec)["datasets"]["save"]


def test_profile_is_that_of_the_files_also_when_a_run_begins_again(tmp_path: Path) -> None:
    first = run(tmp_path)
    files = version_files(str(tmp_path / "out"), first["number"])
    assert_alike(first["profile"], profile_table(files))
    again = run(tmp_path)
    assert_alike(again.pop("profile"), first.pop("profile"))
    assert again == first


def test_adding_rows_profiles_the_whole_version(tmp_path: Path) -> None:
    run(tmp_path)
    said = run(tmp_path, mode="append", job="2")
    assert said["profile"]["rows"] == said["rows"] == 2 * ROWS
    assert said["profile"]["columns"]["id"]["distinct"] == ROWS


def test_what_is_too_much_to_keep_is_profiled_from_its_files(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("runtime.pipelines.run.KEPT_SHARE", 0.0)
    said = run(tmp_path)
    assert_alike(said["profile"], profile_table(version_files(str(tmp_path / "out"), 0)))
