"""What is kept of requests: every row, by the endpoint's policy, in Parquet."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runtime.serving.admin import flush
from runtime.serving.ring import Policy, Record, Ring
from runtime.serving.segments import make_table
from tests.runtime.serving.server import ROW, ScoringServer, endpoint, release
from tests.servers import wait_until

SCORE = "/churn/small/score"
CAPTURED = {**ROW, "household_id": 7, "week": 41}


@pytest.fixture
def capturing(server: ScoringServer, onnx: Path) -> ScoringServer:
    server.push(endpoint("small", [release("champion", onnx, 100)]))
    return server


def folder(server: ScoringServer) -> Path:
    return server.var / "captures" / "endpoint-small" / "release-champion"


def captured(server: ScoringServer) -> list[dict[str, Any]]:
    found = sorted(folder(server).glob("dt=*/hr=*/*.parquet"))
    return [row for path in found for row in pq.read_table(path, partitioning=None).to_pylist()]


def test_rows_are_captured_with_their_types(capturing: ScoringServer) -> None:
    answer = capturing.post(SCORE, {"rows": [CAPTURED, {**ROW, "spend": 1, "age": None}]}).body
    assert flush(str(capturing.var)) == 2
    first, second = captured(capturing)
    assert {key: first[key] for key in CAPTURED} == CAPTURED
    assert (first["request_id"], first["row"], second["row"]) == (answer["request_id"], 0, 1)
    assert [first["prediction"], second["prediction"]] == answer["predictions"]
    assert [first["label"], second["label"]] == answer["labels"]
    assert second["household_id"] is None
    assert second["age"] is None
    (path,) = folder(capturing).glob("dt=*/hr=*/*.parquet")
    schema = pq.read_schema(path)
    assert schema.field("at").type == pa.timestamp("us", tz="UTC")
    types = ("double", "int64", "bool", "string", "int64", "int64")
    names = ("spend", "visits", "is_member", "age", "household_id", "week")
    assert tuple(str(schema.field(name).type) for name in names) == types
    assert path.parent.name == f"hr={first['at']:%H}"
    assert path.parent.parent.name == f"dt={first['at']:%Y-%m-%d}"


def test_rows_are_written_within_seconds_without_being_asked(capturing: ScoringServer) -> None:
    capturing.post(SCORE, {"rows": [CAPTURED]})
    wait_until(lambda: captured(capturing), seconds=9, what="the rows in a file")


def test_rows_are_written_when_told_to_end(capturing: ScoringServer) -> None:
    for _ in range(20):
        capturing.post(SCORE, {"rows": [CAPTURED] * 10})
    capturing.stop()
    assert len(captured(capturing)) == 200
    assert not list(folder(capturing).rglob("*.draft"))


def test_traffic_is_told_by_minute(capturing: ScoringServer) -> None:
    capturing.post(SCORE, {"rows": [CAPTURED] * 3})
    capturing.post(SCORE, {"rows": [{}]})
    flush(str(capturing.var))
    capturing.post(SCORE, {"rows": [CAPTURED]})
    capturing.stop()
    (path,) = (folder(capturing) / "traffic").glob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sum(line["requests"] for line in lines) == 2
    assert sum(line["rows"] for line in lines) == 4
    assert sum(line["errors"].get("400", 0) for line in lines) == 1
    assert sum(sum(line["latency_log2_us"]) for line in lines) == 2
    assert {len(line["latency_log2_us"]) for line in lines} == {32}
    assert all(line["minute"].endswith("+00:00") for line in lines)


def test_policy_hashes_and_drops_before_anything_is_kept(server: ScoringServer, onnx: Path) -> None:
    policy = {"spend": "drop", "age": "hash", "household_id": "hash"}
    capture = {"is_on": True, "sample": 1.0, "columns": policy}
    server.push(endpoint("small", [release("champion", onnx, 100)], capture=capture))
    server.post(SCORE, {"rows": [CAPTURED, CAPTURED, {**CAPTURED, "age": "young"}]})
    flush(str(server.var))
    first, second, third = captured(server)
    assert "spend" not in first
    assert first["age"] == second["age"] != third["age"]
    assert first["age"] != "old"
    assert len(first["household_id"]) == 32
    assert first["week"] == 41


@pytest.mark.parametrize(("capture", "rows"), [({"is_on": False}, 0), ({"sample": 0.0}, 0)])
def test_capture_can_be_off(
    server: ScoringServer, onnx: Path, capture: dict[str, Any], rows: int
) -> None:
    server.push(endpoint("small", [release("champion", onnx, 100)], capture=capture))
    assert server.post(SCORE, {"rows": [CAPTURED]}).status == 200
    assert flush(str(server.var)) == rows


def test_sample_keeps_a_share(server: ScoringServer, onnx: Path) -> None:
    capture = {"is_on": True, "sample": 0.3}
    server.push(endpoint("small", [release("champion", onnx, 100)], capture=capture))
    for _ in range(400):
        server.post(SCORE, {"rows": [ROW]})
    assert 70 <= flush(str(server.var)) <= 170


def test_changed_policy_loses_no_row(capturing: ScoringServer, onnx: Path) -> None:
    capturing.post(SCORE, {"rows": [CAPTURED]})
    capture = {"is_on": True, "columns": {"age": "drop"}}
    capturing.push(endpoint("small", [release("champion", onnx, 100)], capture=capture))
    capturing.post(SCORE, {"rows": [CAPTURED]})
    assert flush(str(capturing.var)) == 2
    assert sorted("age" in row for row in captured(capturing)) == [False, True]


def test_rows_wait_while_the_disk_takes_none(capturing: ScoringServer) -> None:
    place = capturing.var / "captures"
    shutil.rmtree(place, ignore_errors=True)
    place.write_text("in the way")
    answer = capturing.post(SCORE, {"rows": [CAPTURED]})
    assert answer.status == 200
    assert flush(str(capturing.var)) == 0
    place.unlink()
    assert flush(str(capturing.var)) == 1


SIGNATURE: dict[str, Any] = {
    "inputs": [{"name": "a", "kind": "number"}, {"name": "b", "kind": "integer"}]
}


def record(number: int) -> Record:
    return Record(f"request-{number}", 0, time.time_ns() // 1000, bytes(8), (2,), 0.5, None, 10)


KINDS: list[dict[str, Any]] = [
    *SIGNATURE["inputs"],
    {"name": "c", "kind": "category", "categories": ["x"]},
    {"name": "d", "kind": "boolean"},
]
ROWS: list[dict[str, Any]] = [
    {"a": 0.1, "b": 2**53 + 1, "c": "never seen", "d": True, "k": "me"},
    {"a": None, "b": None, "c": None, "d": None},
    {"a": 3, "b": 4.0, "c": "x", "d": False, "k": None},
]


@pytest.mark.parametrize("names", ["a", "b", "k", "ab", "bd", "abcd", "abcdk", ""])
def test_values_are_kept_as_they_were_sent(names: str) -> None:
    signature = {"inputs": [each for each in KINDS if each["name"] in names]}
    signature["keys"] = [{"name": "k", "kind": "text"}] if "k" in names else []
    ring = Ring(Policy(signature, {}, b"s"))
    ring.keep("request", ROWS, [0.5, 0.25, 1.0], ["1", "0", "1"], 10)
    table = make_table(ring.policy, ring.peek())
    kept = [{name: row.get(name) for name in names} for row in ROWS]
    assert table.select(list(names)).to_pylist() == kept
    assert table["row"].to_pylist() == [0, 1, 2]
    assert table["label"].to_pylist() == ["1", "0", "1"]


def test_full_ring_drops_and_counts() -> None:
    ring = Ring(Policy(SIGNATURE, {}, b"s"), slots=10)
    for number in range(14):
        ring.put(record(number))
    assert (len(ring), ring.dropped) == (10, 4)
    assert [each.request_id for each in ring.peek()][:2] == ["request-0", "request-1"]
    ring.release(4)
    for number in range(14, 18):
        ring.put(record(number))
    found = [each.request_id for each in ring.peek()]
    assert found == [f"request-{number}" for number in [*range(4, 10), *range(14, 18)]]
    assert ring.dropped == 4


def test_many_rows_are_all_captured_once(capturing: ScoringServer) -> None:
    wanted = 0
    for _ in range(150):
        wanted += len(capturing.post(SCORE, {"rows": [CAPTURED] * 100}).body["predictions"])
    capturing.stop()
    rows = captured(capturing)
    assert len(rows) == wanted == 15_000
    assert len({(row["request_id"], row["row"]) for row in rows}) == wanted
