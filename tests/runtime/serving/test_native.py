"""Native releases: pickles in confined children, which may hang, fail and die."""

import json
import os
import pickle
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from runtime.confine import landlock_abi
from runtime.processes import descendants
from tests.runtime.serving.server import ROW, Answer, ScoringServer, endpoint, release
from tests.servers import wait_until

pytestmark = pytest.mark.skipif(landlock_abi() == 0, reason="the kernel has no Landlock")
SLOW = "/churn/slow/score"


@pytest.fixture
def slow(server: ScoringServer, packages: Path) -> ScoringServer:
    limits = {"rows": 100, "body_bytes": 65536, "queue": 2, "deadline_seconds": 1.5}
    only = [release("slow", packages / "slow-native", 100)]
    status = server.push(endpoint("slow", only, limits=limits))
    assert status["refused"] is None
    return server


def ask(server: ScoringServer, *values: float) -> Answer:
    return server.post(SLOW, {"rows": [{"a": value} for value in values]})


def children(server: ScoringServer) -> list[int]:
    assert server.process
    return [each.pid for each in descendants(server.process.pid)]


def test_native_release_answers_as_its_onnx_form_does(
    server: ScoringServer, onnx: Path, native: Path
) -> None:
    server.push(endpoint("small", [release("a", onnx, 50), release("b", native, 50)]))
    rows = {"rows": [ROW, {**ROW, "spend": -2, "age": None}], "probabilities": True}
    first, second = (
        server.post("/churn/small/score", rows, X_Portolan_Release=slug).body for slug in "ab"
    )
    assert first["labels"] == second["labels"]
    assert first["predictions"] == pytest.approx(second["predictions"], abs=1e-6)
    engine = server.status()["releases"]["release-b"]["engine"]
    assert engine.startswith("RandomForestClassifier (sklearn 1.")


def test_child_is_confined_and_knows_nothing_of_the_portal(
    server: ScoringServer, native: Path, tmp_path: Path
) -> None:
    code = (
        "type('Spy', (), {'predict': lambda self, matrix: matrix[:, 0], 'told': "
        "[open(path).read() for path in ('/etc/passwd',)]})()"
    )
    path = tmp_path / "spy"
    make_pickle(path, code)
    status = server.push(endpoint("slow", [release("spy", path, 100)]))
    assert "PermissionError" in status["refused"]["message"]
    assert status["applied"] == 0


def make_pickle(path: Path, code: str) -> None:
    """A native package of a model that this code makes."""

    class Made:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return eval, (code,)

    import hashlib

    (path / "native").mkdir(parents=True)
    (path / "native" / "native.pkl").write_bytes(pickle.dumps(Made()))
    inputs = [{"name": "a", "kind": "number"}]
    signature = {"task": "regression", "inputs": inputs}
    package = {"engine": "native", "task": "regression", "signature": signature}
    (path / "package.json").write_text(json.dumps(package))
    digest = hashlib.sha256((path / "native" / "native.pkl").read_bytes()).hexdigest()
    (path / "files.json").write_text(json.dumps({"native/native.pkl": digest}))


def test_slow_answer_meets_its_deadline(slow: ScoringServer) -> None:
    assert ask(slow, 1).body["predictions"] == [1]
    answer = ask(slow, 1, 2, 3, 4)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert "within 1.5 seconds" in answer.body["detail"]


def test_full_queue_is_refused(slow: ScoringServer) -> None:
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(slow, 1))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = sorted(each.status for each in answers)
    assert statuses == [200, 200, 429, 429, 429, 429]
    refused = next(each for each in answers if each.status == 429)
    assert refused.headers["Retry-After"] == "1"


def test_model_that_fails_is_told_and_goes_on(slow: ScoringServer) -> None:
    answer = ask(slow, -2)
    assert (answer.status, "minus" in answer.body["detail"]) == (500, False)
    assert ask(slow, 1).status == 200


def test_child_that_dies_is_told_and_started_again(slow: ScoringServer) -> None:
    (before,) = children(slow)
    answer = ask(slow, -1)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    wait_until(lambda: ask(slow, 1).status == 200, what="another child to answer")
    (after,) = children(slow)
    assert after != before
    os.kill(after, signal.SIGKILL)
    wait_until(lambda: ask(slow, 1).status == 200, what="a third to answer")
    assert slow.get("/readyz").status == 200


def test_no_child_outlives_its_router(slow: ScoringServer) -> None:
    (child,) = children(slow)
    slow.kill()
    wait_until(lambda: not Path(f"/proc/{child}").exists(), seconds=5, what="it to end")
    slow.start()
    wait_until(lambda: slow.get("/readyz").status == 200, what="the model to be up")
    (child,) = children(slow)
    slow.stop()
    wait_until(lambda: not Path(f"/proc/{child}").exists(), seconds=5, what="it to end")


def test_release_that_is_gone_takes_its_child_along(slow: ScoringServer) -> None:
    slow.push(endpoint("slow", []))
    wait_until(lambda: not children(slow), what="the child to end")
    assert not list((slow.folder / "native").iterdir())


def test_onnx_answers_go_on_behind_a_slow_native_one(slow: ScoringServer, packages: Path) -> None:
    native = release("slow", packages / "slow-native", 100)
    other = release("sum", packages / "regression-onnx", 100)
    slow.push(endpoint("slow", [native]), endpoint("sum", [other]))
    thread = threading.Thread(target=ask, args=(slow, 1, 2))
    thread.start()
    answers = 0
    while thread.is_alive():
        assert slow.post("/churn/sum/score", {"rows": [{"a": 1, "b": 2}]}).status == 200
        answers += 1
    assert answers > 20
