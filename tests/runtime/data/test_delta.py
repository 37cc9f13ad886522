"""Versions: whole or not there, written once, readable for good."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake.exceptions import DeltaError

from runtime.data.delta import (
    DataError,
    Kept,
    find_version,
    open_dataset,
    version_files,
    write_version,
)
from tests.servers import wait_until

ONE = pa.table({"a": [1, 2, 3]})
TWO = pa.table({"b": ["x"]})


def data_files(path: Path) -> set[str]:
    return {each.name for each in path.glob("*.parquet")}


def test_same_commit_key_is_written_once(tmp_path: Path) -> None:
    first = write_version(str(tmp_path), ONE.to_reader(), commit_key="job/a")
    again = write_version(str(tmp_path), TWO.to_reader(), commit_key="job/a")
    assert first.is_new
    assert not again.is_new
    assert (again.number, again.rows, again.columns) == (0, 3, [{"name": "a", "type": "int64"}])
    assert find_version(str(tmp_path), "job/b") is None


def test_every_version_stays_readable(tmp_path: Path) -> None:
    for number, table in enumerate((ONE, TWO, TWO.slice(0, 0), ONE)):
        written = write_version(str(tmp_path), table.to_reader(), commit_key=f"{number}/a")
        assert written.number == number
    assert open_dataset(str(tmp_path), 0).to_table() == ONE
    assert open_dataset(str(tmp_path), 1).to_table() == TWO
    assert open_dataset(str(tmp_path), 2).to_table() == TWO.slice(0, 0)
    assert version_files(str(tmp_path), 2) == []
    assert all(Path(each).is_absolute() for each in version_files(str(tmp_path), 3))


@pytest.mark.parametrize(("limit", "is_kept"), [(24, True), (23, False)])
def test_few_rows_on_their_way_are_kept(tmp_path: Path, limit: int, is_kept: bool) -> None:
    kept = Kept(ONE.to_reader(max_chunksize=1), limit)
    assert kept.table is None
    assert write_version(str(tmp_path), kept.reader, commit_key="1/a").rows == 3
    assert kept.table == (ONE if is_kept else None)
    again = Kept(ONE.to_reader(), limit)
    write_version(str(tmp_path), again.reader, commit_key="1/a")
    assert again.table is None


def test_path_with_odd_characters_works(tmp_path: Path) -> None:
    path = tmp_path / "a b ü#"
    write_version(str(path), ONE.to_reader(), commit_key="1/a")
    assert open_dataset(str(path), 0).to_table() == ONE
    assert all(Path(each).exists() for each in version_files(str(path), 0))


def test_types_delta_lacks_become_the_nearest(tmp_path: Path) -> None:
    table = pa.table(
        {
            "u": pa.array([1], pa.uint32()),
            "n": pa.nulls(1),
            "d": pa.array(["x"]).dictionary_encode(),
            "t": pa.array([1_000_000_001], pa.timestamp("ns")),
        }
    )
    written = write_version(str(tmp_path), table.to_reader(), commit_key="1/a")
    kinds = [each["type"] for each in written.columns]
    assert kinds == ["int64", "string", "string", "timestamp[us]"]


@pytest.mark.parametrize(
    "table",
    [
        pa.table([[1], [2]], names=["a", "A"]),
        pa.table({"a": pa.array([2**64 - 1], pa.uint64())}),
        pa.table({"a": pa.array([1], pa.duration("s"))}),
    ],
)
def test_what_cannot_be_kept_is_refused_by_column(tmp_path: Path, table: pa.Table) -> None:
    with pytest.raises(DataError) as caught:
        write_version(str(tmp_path), table.to_reader(), commit_key="1/a")
    assert caught.value.column.lower() == "a"


def test_source_that_fails_midway_leaves_the_old_version_and_no_file(tmp_path: Path) -> None:
    write_version(str(tmp_path), ONE.to_reader(), commit_key="1/a")
    before = data_files(tmp_path)

    def batches() -> Iterator[pa.RecordBatch]:
        for _ in range(50):
            yield from pa.table({"a": list(range(100_000))}).to_batches()
        raise LookupError("the source broke off")

    reader = pa.RecordBatchReader.from_batches(ONE.schema, batches())
    with pytest.raises(LookupError, match="broke off"):
        write_version(str(tmp_path), reader, commit_key="2/a")
    assert data_files(tmp_path) == before
    assert write_version(str(tmp_path), TWO.to_reader(), commit_key="3/a").number == 1


WRITE = """
import resource, sys
import numpy as np, pyarrow as pa
from runtime.data.delta import DiskFull, write_version
def batches():
    while True:
        yield from pa.table({"a": np.random.default_rng().random(100_000)}).to_batches()
        print("batch", flush=True)
if sys.argv[2] == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
try:
    write_version(sys.argv[1], pa.RecordBatchReader.from_batches(
        pa.schema([("a", pa.float64())]), batches()), commit_key="2/a")
except DiskFull as error:
    print("FULL", error)
"""


def test_disk_that_fills_up_leaves_the_old_version(tmp_path: Path) -> None:
    write_version(str(tmp_path), ONE.to_reader(), commit_key="1/a")
    before = data_files(tmp_path)
    command = [sys.executable, "-c", WRITE, str(tmp_path), "full"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "FULL There was no room on the disk" in ran.stdout
    assert data_files(tmp_path) == before
    assert find_version(str(tmp_path), "2/a") is None


def test_killed_writer_leaves_nothing_the_next_one_keeps(tmp_path: Path) -> None:
    write_version(str(tmp_path), ONE.to_reader(), commit_key="1/a")
    before = data_files(tmp_path)
    command = [sys.executable, "-c", WRITE, str(tmp_path), "killed"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        wait_until(process.stdout.readline, what="the first batch")
        wait_until(lambda: len(list(tmp_path.iterdir())) > len(before) + 3, what="a file begun")
        os.kill(process.pid, signal.SIGKILL)
    written = write_version(str(tmp_path), TWO.to_reader(), commit_key="3/a")
    assert written.number == 1
    assert len(data_files(tmp_path)) == len(before) + 1
    assert open_dataset(str(tmp_path), 0).to_table() == ONE


def _write(path: str, number: int) -> None:
    write_version(path, pa.table({"a": [number]}).to_reader(), commit_key=f"{number % 4}/a")


def test_writers_at_once_each_get_a_version(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(str(tmp_path), n)) for n in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [find_version(str(tmp_path), f"{n}/a") is not None for n in range(4)] == [True] * 4
    assert open_dataset(str(tmp_path), 3).count_rows() == 1
    with pytest.raises(DeltaError):
        open_dataset(str(tmp_path), 4)
