"""CSV and JSON lines: what they become, and what is said of those that cannot be read."""

import datetime as dt
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runtime.data.text_tables import TypeMisfit
from tests.runtime.data.reading import CSV, JSONL, read, refused

MANY = b"a,b\n" + b"1,2\n" * 100_001


def test_csv_types_are_those_all_values_fit(tmp_path: Path) -> None:
    text = (
        b"n,f,d,t,flag,zip,s,none\n"
        b"1,2,2026-01-02,2026-01-02T03:04:05Z,true,01234,x,\n"
        b"-7,2.5,2026-02-03,2026-01-02 03:04,FALSE,5,,\n"
    )
    table = read(tmp_path, text, CSV)
    kinds = ["int64", "double", "date32[day]", "timestamp[us]", "bool", *["string"] * 3]
    assert [str(field.type) for field in table.schema] == kinds
    first = table.slice(0, 1).to_pylist()[0]
    assert first["zip"] == "01234"
    assert first["t"] == dt.datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001  (as it is kept: UTC)
    assert table["s"].to_pylist() == ["x", None]


def test_missing_values_fit_every_type(tmp_path: Path) -> None:
    table = read(tmp_path, b"n,f,flag,s\n,2.5,true,x\n1,,,y\n,,false,\n", CSV)
    assert [str(field.type) for field in table.schema] == ["int64", "double", "bool", "string"]
    assert table["n"].to_pylist() == [None, 1, None]
    assert table["f"].to_pylist() == [2.5, None, None]


@pytest.mark.parametrize("value", [b"x", b"1.5", b"007"])
def test_value_far_down_that_does_not_fit_is_never_rounded(tmp_path: Path, value: bytes) -> None:
    text = MANY + value + b",2\n"
    assert isinstance(refused(tmp_path, text, CSV), TypeMisfit)
    table = read(tmp_path, text, CSV, is_thorough=True)
    kept = table["a"].to_pylist()[-1]
    assert kept == (1.5 if value == b"1.5" else value.decode())


def test_given_types_and_columns_are_honoured(tmp_path: Path) -> None:
    form = {**CSV, "types": {"a": "string", "c": "double"}}
    table = read(tmp_path, b"a,b,c\n1,2,3\n", form, columns=["c", "a"])
    assert table.to_pylist() == [{"c": 3.0, "a": "1"}]


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [("windows-1252", "cp1252"), ("utf-16", "utf-16"), ("gb18030", "gb18030")],
)
def test_other_encodings_are_read(tmp_path: Path, encoding: str, codec: str) -> None:
    word = "中文" if codec == "gb18030" else "Käse"
    table = read(tmp_path, f"a,b\n{word},1\n".encode(codec), {**CSV, "encoding": encoding})
    assert table.to_pylist() == [{"a": word, "b": 1}]


def test_csv_without_header_and_with_other_delimiter(tmp_path: Path) -> None:
    form = {**CSV, "header": False, "delimiter": ";"}
    table = read(tmp_path, b'1;"x;\ny"\r\n2;z\r\n', form)
    assert table.to_pylist() == [
        {"column_1": 1, "column_2": "x;\ny"},
        {"column_1": 2, "column_2": "z"},
    ]


WIDE = ",".join(f"c{n}" for n in range(5000)).encode()
BAD_CSV: list[tuple[bytes, str, str]] = [
    (b"", "connection", "sent is empty"),
    (b"a,b\n", "connection", "a header and no rows"),
    (b"\n1,2\n", "format", "first line of sent is empty"),
    (b"a,b\n1,2\n1,2,3\n", "format", "Line 3 of sent has 3 values where the header has 2"),
    (b"a,b\n1\n", "format", "Line 2 of sent has 1 value where"),
    (b'a,b\n1,"x\n2,3\n', "format", "Line 2 of sent: a quotation mark is opened and not closed"),
    (b"a,b\nK\xe4se,1\n", "format.encoding", "byte 6 (0xe4), on line 2, cannot be read"),
    (b"a,b\nx,\xc3", "format.encoding", "byte 7 (0xc3), on line 2"),
    (bytes(range(256)) * 9, "format.encoding", "cannot be read"),
    (b"a,b\n1,\x00\n", "format", "a null character on line 2"),
    (b"a,A\n1,2\n", "format", "Columns 1 and 2 are both called “A”"),
    (b"a,,b\n1,2,3\n", "format", "Column 2 has no name"),
    (b"a;b\n1;2\n", "format.delimiter", "no “,” but “;” in it"),
    (WIDE + b"\n" + WIDE + b"\n", "columns", "5,000 columns, and a dataset has at most 2,000"),
]


@pytest.mark.parametrize(("content", "field", "text"), BAD_CSV)
def test_bad_csv_is_refused_with_what_to_do(
    tmp_path: Path, content: bytes, field: str, text: str
) -> None:
    error = refused(tmp_path, content, CSV)
    assert error.field == field
    assert text in error.message, error.message


def test_unknown_columns_are_named(tmp_path: Path) -> None:
    assert refused(tmp_path, b"a,b\n1,2\n", CSV, columns=["q"]).field == "columns"
    form = {**CSV, "types": {"q": "int64"}}
    assert refused(tmp_path, b"a,b\n1,2\n", form).field == "format.types"


def test_value_not_of_its_given_type_is_named(tmp_path: Path) -> None:
    error = refused(tmp_path, b"a\n1\nx\n", {**CSV, "types": {"a": "int64"}})
    assert "Column “a” of sent has the value “x”" in error.message


BAD_JSON: list[tuple[bytes, str, str]] = [
    (b"", "connection", "sent is empty"),
    (b"\x80\x81", "format.encoding", "byte 1 (0x80), on line 1"),
    (b'[{"a":1}]', "format", "one JSON list, not JSON lines"),
    (b"hello\n", "format", "does not begin with a JSON object"),
    (b'{"a":1}\n[1]\n', "format", "Line 2 of sent is not a JSON object"),
    (b'{"a":1}\n{"a":}\n', "format", "Line 2 of sent is not a JSON object"),
    (b'{"a":1,"a":2}\n', "format", 'Line 1 of sent says "a" twice'),
    (b"{}\n", "format", "hold nothing"),
]


@pytest.mark.parametrize(("content", "field", "text"), BAD_JSON)
def test_bad_json_lines_are_refused_with_what_to_do(
    tmp_path: Path, content: bytes, field: str, text: str
) -> None:
    error = refused(tmp_path, content, JSONL)
    assert error.field == field
    assert text in error.message, error.message


def test_json_lines_keep_every_field_and_value(tmp_path: Path) -> None:
    text = b'{"a":1}\n' * 100_001 + b'{"a":2.5,"late":true,"mixed":1}\n{"mixed":"x"}\n'
    table = read(tmp_path, text, JSONL)
    assert table.slice(100_001).to_pylist() == [
        {"a": 2.5, "late": True, "mixed": "1"},
        {"a": None, "late": None, "mixed": "x"},
    ]


LONG_LINE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
from pathlib import Path
from tests.runtime.data.reading import CSV, JSONL, refused
path = Path(sys.argv[1], "sent")
with path.open("wb") as file:
    file.write(b"a,b\\n1,2\\n" if sys.argv[2] == "csv" else b'{"a":1}\\n')
    for _ in range(1024):
        file.write(b"x" * (1 << 20))
from runtime.data.reading import open_source
from tests.runtime.data.reading import asked
from runtime.job import JobError
try:
    with open_source(asked(path, CSV if sys.argv[2] == "csv" else JSONL)) as reader:
        reader.read_all()
except JobError as error:
    print(error.message)
# Not ru_maxrss, which begins with what the process that started this one had.
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.parametrize(("kind", "line"), [("csv", 3), ("jsonl", 2)])
def test_line_of_a_gigabyte_fails_fast_in_bounded_memory(
    tmp_path: Path, kind: str, line: int
) -> None:
    ran: Any = subprocess.run(
        [sys.executable, "-c", LONG_LINE, str(tmp_path), kind],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    message, peak_kb = ran.stdout.splitlines()
    assert f"Line {line} of sent is longer than 16 MB" in message
    assert int(peak_kb) < 512 * 1024
