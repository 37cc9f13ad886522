"""Snapshots: taken, refused, kept through everything."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.serving.server import ROW, ScoringServer, endpoint, release
from tests.servers import wait_until

SCORE = "/churn/small/score"
ROWS = {"rows": [ROW]}


@pytest.fixture
def good(server: ScoringServer, onnx: Path) -> ScoringServer:
    server.push(endpoint("small", [release("champion", onnx, 100)]))
    return server


def is_serving(server: ScoringServer, slug: str) -> bool:
    answer = server.post(SCORE, ROWS)
    return answer.status == 200 and answer.body["release"] == slug


def test_status_tells_what_is_served_and_by_what(good: ScoringServer) -> None:
    status = good.status()
    assert status["applied"] == good.number
    assert status["refused"] is None
    told = status["releases"]["release-champion"]
    assert told["state"] == "ready"
    assert told["engine"].startswith("ONNX Runtime ")


def test_swap_drops_no_request(good: ScoringServer, onnx: Path) -> None:
    for number in range(5):
        good.number += 1
        both = [release("champion", onnx, 50), release(f"next-{number}", onnx, 50)]
        entry = endpoint("small", both)
        good.write({"number": good.number, "made_at": "", "endpoints": [entry]})
        while good.status()["applied"] < good.number:
            assert good.post(SCORE, ROWS).status == 200


def broken(onnx: Path, folder: Path, change: str) -> Path:
    """A copy of a package with something wrong in it."""
    shutil.copytree(onnx, folder / "broken")
    path = folder / "broken"
    if change == "model":
        (path / "model.onnx").write_bytes(b"not a model")
    elif change == "listed":
        files = json.loads((path / "files.json").read_text())
        (path / "model.onnx").write_bytes(b"not a model")
        del files["model.onnx"]
        (path / "files.json").write_text(json.dumps(files))
    elif change == "gone":
        shutil.rmtree(path)
    else:
        (path / "package.json").write_text(change)
    return path


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("model", "SHA-256 differs"),
        ("listed", "not among the files"),
        ("gone", "cannot be read"),
        ("{", "not JSON"),
        ("[]", "not an object"),
        ('{"engine": "onnx"}', "malformed"),
    ],
)
def test_package_that_is_not_whole_is_refused_and_the_last_good_kept(
    good: ScoringServer, onnx: Path, tmp_path: Path, change: str, says: str
) -> None:
    path = broken(onnx, tmp_path, change)
    both = [release("champion", onnx, 50), release("bad", path, 50)]
    status = good.push(endpoint("small", both))
    assert status["applied"] == good.number - 1
    assert says in status["refused"]["message"]
    assert status["refused"]["endpoint"] == "endpoint-small"
    assert status["releases"]["release-bad"]["state"] == "failed"
    assert is_serving(good, "champion")


def test_broken_release_without_traffic_refuses_nobody(
    good: ScoringServer, onnx: Path, tmp_path: Path
) -> None:
    path = broken(onnx, tmp_path, "gone")
    status = good.push(endpoint("small", [release("champion", onnx, 100), release("b", path, 0)]))
    assert status["applied"] == good.number
    assert status["releases"]["release-b"]["state"] == "failed"
    assert good.post(SCORE, ROWS, X_Portolan_Release="b").status == 503
    assert good.get("/readyz").status == 200


ENTRY: dict[str, Any] = endpoint("small", [])
RELEASE = release("a", Path("/x"), 100)


@pytest.mark.parametrize(
    ("snapshot", "says"),
    [
        ({"number": 9}, "malformed"),
        ({"number": "9", "endpoints": []}, "has no number"),
        ({"number": 9, "endpoints": [ENTRY, ENTRY]}, "same address"),
        ({"number": 9, "endpoints": [{**ENTRY, "releases": [{**RELEASE, "weight": 7}]}]}, "to 7"),
        ({"number": 9, "endpoints": [{**ENTRY, "releases": [RELEASE] * 2}]}, "to 200"),
        ({"number": 9, "endpoints": [{**ENTRY, "uuid": "../../etc"}]}, "no uuid"),
        (
            {"number": 9, "endpoints": [{**ENTRY, "releases": [{**RELEASE, "package": "x"}]}]},
            "absolute",
        ),
        (
            {"number": 9, "endpoints": [{**ENTRY, "capture": {"columns": {"a": "sell"}}}]},
            "capture policy",
        ),
    ],
)
def test_malformed_snapshot_is_refused_and_the_last_good_kept(
    good: ScoringServer, snapshot: dict[str, Any], says: str
) -> None:
    good.write(snapshot)
    wait_until(lambda: good.status()["refused"], what="it to be refused")
    assert says in good.status()["refused"]["message"]
    assert is_serving(good, "champion")


def test_garbage_and_older_snapshots_are_refused(good: ScoringServer, onnx: Path) -> None:
    for text, says in (("{", "cannot be read"), ('{"number": 1, "endpoints": []}', "older")):
        good.push(endpoint("small", [release("champion", onnx, 100)]))
        (good.folder / "routes.json").write_text(text)
        wait_until(lambda: good.status()["refused"], what="it to be refused")
        assert says in good.status()["refused"]["message"]
        assert is_serving(good, "champion")


def test_killed_server_comes_back_with_the_last_snapshot_within_a_second(
    good: ScoringServer,
) -> None:
    good.kill()
    began = time.monotonic()
    good.start()
    assert is_serving(good, "champion")
    assert time.monotonic() - began < 2.0  # one second on a machine that is not busy


def test_server_starts_with_the_last_good_snapshot_beside_a_bad_one(good: ScoringServer) -> None:
    number = good.status()["applied"]
    good.kill()
    (good.folder / "routes.json").write_text("{")
    good.start()
    assert is_serving(good, "champion")
    assert good.status()["applied"] == number
    assert "cannot be read" in good.status()["refused"]["message"]


def test_server_starts_with_what_loads_and_says_what_does_not(
    good: ScoringServer, onnx: Path, tmp_path: Path
) -> None:
    path = tmp_path / "copy"
    shutil.copytree(onnx, path)
    both = [release("champion", onnx, 50), release("lost", path, 50)]
    good.push(endpoint("small", both))
    good.kill()
    shutil.rmtree(path)
    good.start()
    assert {good.post(SCORE, ROWS).status for _ in range(100)} == {200, 503}
    assert good.get("/readyz").status == 503
    assert good.post(SCORE, ROWS, X_Portolan_Release="champion").status == 200
    assert good.push(endpoint("small", [release("champion", onnx, 100)]))["refused"] is None
    assert good.get("/readyz").status == 200


def test_second_server_on_a_folder_or_port_is_refused(good: ScoringServer, tmp_path: Path) -> None:
    same_folder = ScoringServer(good.var)
    with pytest.raises(AssertionError, match="Another scoring server runs"):
        same_folder.start()
    same_port = ScoringServer(tmp_path / "other", port=good.port)
    with pytest.raises(AssertionError, match=f"Port {good.port} on 127.0.0.1 cannot be used"):
        same_port.start()
