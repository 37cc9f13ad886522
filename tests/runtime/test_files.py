"""Small files that are there whole or not at all, and what a job may leave in their place."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.files import MAX_BYTES, read_json, write_json


def test_what_was_written_is_read_and_leaves_no_draft(tmp_path: Path) -> None:
    path = str(tmp_path / "a.json")
    write_json(path, {"a": 1})
    write_json(path, {"a": 2}, is_lasting=True)
    assert read_json(path) == {"a": 2}
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]
    assert read_json(str(tmp_path / "missing.json")) is None


def make_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (make_link, "no plain file"),
        (os.mkfifo, "no plain file"),
        (Path.mkdir, "no plain file"),
        (
            lambda path: path.write_text('{"a": "' + "x" * MAX_BYTES + '"}'),
            "at most",
        ),
        (lambda path: path.write_text("[" * 100_000), "not JSON"),
        (lambda path: path.write_text("[]"), "not a JSON object"),
        (lambda path: path.write_bytes(b'{"a": "\xff"}'), "not JSON"),
    ],
)
def test_what_a_job_left_instead_is_refused_in_words(
    tmp_path: Path, make: Callable[[Path], object], says: str
) -> None:
    make(tmp_path / "outputs.json")
    with pytest.raises(ValueError, match=says):
        read_json(str(tmp_path / "outputs.json"))
