"""The local engine: the contract, and what only processes can have happen to them."""

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from runtime.files import read_json
from runtime.processes import is_alive, marked
from tests.engines.contract import EngineContract
from tests.servers import wait_until
from workers.engines.base import EngineContext, EngineError, Observation
from workers.engines.local import INFO
from workers.engines.local.kinds import Probes
from workers.engines.local.processes import MARK, Order, ProcessJobs

LIMITS = {"memory_mb": 512, "disk_mb": 64, "processes": 64, "seconds": 60}


def make_context(var: Path) -> EngineContext:
    (var / "keys").mkdir()
    (var / "keys" / "secret-keys").write_text("the key")
    (var / "portolan.sqlite3").write_text("the database")
    return EngineContext(var_dir=var, host="here", limits=LIMITS)


class TestLocalChecks(EngineContract):
    info = INFO
    kind = "check"

    @pytest.fixture
    def context(self, tmp_path: Path) -> EngineContext:
        return make_context(tmp_path)

    def quick(self) -> Mapping[str, Any]:
        return {"seconds": 0, "memory_mb": 256}

    def lasting(self) -> Mapping[str, Any]:
        return {"seconds": 600, "memory_mb": 256}

    def starts(self, context: EngineContext, job_id: str) -> int:
        log = (context.var_dir / "jobs" / job_id / "log.txt").read_text()
        return log.count("read the environment of the process above")

    def test_everything_forbidden_is_denied(self, context: EngineContext) -> None:
        done = self.open(context).submit(str(uuid4()), self.quick(), "")
        seen = self.ended(context, done.external_id)
        log = self.open(context).logs(done.external_id, "")[0]
        assert seen.outputs["allowed"] == 0, log
        assert seen.outputs["denied"] >= 15
        assert "denied: read" in log


class Scripts(ProcessJobs):
    """Runs whatever Python the spec holds, unconfined: for trying out the runner."""

    def order(self, folder: Path, spec: Mapping[str, Any]) -> Order:
        return Order(
            argv=[sys.executable, "-I", "-S", "-c", spec["code"]],
            limits=spec.get("limits", {}),
            is_confined=False,
            restarts=spec.get("restarts", 0),
        )


@pytest.fixture
def scripts(tmp_path: Path) -> Scripts:
    return Scripts(make_context(tmp_path))


def start(scripts: Scripts, code: str, **limits: int) -> str:
    return scripts.submit(str(uuid4()), {"code": code, "limits": limits}, "").external_id


def end(scripts: Scripts, job_id: str) -> Observation:
    wait_until(lambda: scripts.poll(job_id).is_final, what="the job to end")
    return scripts.poll(job_id)


def wait_for_log(scripts: Scripts, job_id: str, word: str) -> None:
    wait_until(lambda: word in scripts.logs(job_id, "")[0], what=f"“{word}” in the log")


HOLD = "import time; print('up', flush=True); time.sleep(600)"
FAMILY = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        print("grandchild up", flush=True)
        time.sleep(600)
    time.sleep(600)
import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
"""


def test_cancel_ends_the_whole_family_of_processes(scripts: Scripts) -> None:
    job = start(scripts, FAMILY)
    wait_for_log(scripts, job, "grandchild up")
    assert len(marked(MARK, job)) == 3
    scripts.cancel(job)
    assert end(scripts, job).state == "cancelled"
    assert marked(MARK, job) == []


def test_cancel_before_the_runner_is_up_starts_nothing(scripts: Scripts, tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / "early"
    folder.mkdir(parents=True)
    (folder / "cancel").touch()
    job = scripts.submit("early", {"code": "open('ran', 'w')"}, "").external_id
    assert end(scripts, job).state == "cancelled"
    assert not (folder / "work" / "ran").exists()


def test_killed_runner_takes_its_job_with_it_and_says_so(scripts: Scripts, tmp_path: Path) -> None:
    job = start(scripts, FAMILY)
    wait_for_log(scripts, job, "grandchild up")
    runner = read_json(str(tmp_path / "jobs" / job / "runner.json"))
    assert runner
    os.kill(runner["pid"], signal.SIGKILL)
    wait_until(lambda: not is_alive(runner["pid"], runner["started"]))
    seen = end(scripts, job)
    assert seen.state == "failed"
    assert "watched over this job was killed" in seen.message
    wait_until(lambda: marked(MARK, job) == [], what="nothing to be left")
    assert scripts.poll(job) == seen


def test_job_outlives_the_worker_that_started_it(scripts: Scripts, tmp_path: Path) -> None:
    job = start(scripts, HOLD)
    wait_for_log(scripts, job, "up")
    other_worker = Scripts(scripts.context)
    assert other_worker.poll(job).state == "running"
    other_worker.cancel(job)
    assert end(other_worker, job).state == "cancelled"


def test_restarted_machine_is_told_apart(scripts: Scripts, tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / "old"
    folder.mkdir(parents=True)
    (folder / "runner.json").write_text('{"pid": 1, "started": 1, "boot_id": "before"}')
    assert "restarted" in scripts.poll("old").message


@pytest.mark.parametrize(
    ("code", "limits", "says"),
    [
        ("x = bytearray(300_000_000); import time; time.sleep(60)", {"memory_mb": 100}, "memory"),
        ("import time; time.sleep(60)", {"seconds": 1}, "longer than 1 seconds"),
        (
            "import os, time\nfor _ in range(40):\n    os.fork() == 0 and time.sleep(60)\n"
            "time.sleep(60)",
            {"processes": 10},
            "more than 10 processes",
        ),
        (
            "f = open('big', 'wb')\nfor _ in range(40): f.write(bytes(1_000_000)); f.flush()\n"
            "import time; time.sleep(60)",
            {"disk_mb": 20},
            "",
        ),
        ("raise SystemExit(3)", {}, "exit code 3"),
        ("import os; os.kill(os.getpid(), 11)", {}, "signal 11"),
    ],
)
def test_limit_ends_the_job_and_is_named(
    scripts: Scripts, code: str, limits: dict[str, int], says: str
) -> None:
    job = start(scripts, code, **limits)
    seen = end(scripts, job)
    assert seen.state == "failed"
    assert says in seen.message
    assert marked(MARK, job) == []


def test_fork_bomb_is_put_out(scripts: Scripts) -> None:
    bomb = "import os, time\nfor _ in range(9): os.fork()\ntime.sleep(60)"
    job = start(scripts, bomb, processes=50, memory_mb=8192)
    assert "more than 50 processes" in end(scripts, job).message
    assert marked(MARK, job) == []


def test_flood_of_output_is_cut_and_the_job_goes_on(scripts: Scripts, tmp_path: Path) -> None:
    job = start(scripts, "for _ in range(300): print('x' * 10_000)", log_mb=1)
    assert end(scripts, job).state == "succeeded"
    assert (tmp_path / "jobs" / job / "log.txt").stat().st_size < 1_100_000
    cursor, text = "", ""
    while (read := scripts.logs(job, cursor))[0]:
        text, cursor = read
    assert "the rest is dropped" in text


def test_log_is_safe_text_whatever_was_printed(scripts: Scripts) -> None:
    code = "import sys; sys.stdout.buffer.write(b'\\x1b[31mred\\x1b[0m \\x00\\xff ok\\n')"
    job = start(scripts, code)
    end(scripts, job)
    assert scripts.logs(job, "")[0] == "red \ufffd ok\n"


@pytest.mark.parametrize(
    "code",
    [
        "open('outputs.json', 'w').write('[1]')",
        "open('outputs.json', 'w').write('{')",
        "open('outputs.json', 'w').write('{\"a\": \"' + 'x' * 9_000_000 + '\"}')",
        "import os; os.symlink('/etc/passwd', 'outputs.json')",
        "import os; os.mkfifo('outputs.json')",
    ],
)
def test_answer_that_is_none_fails_the_job(scripts: Scripts, code: str) -> None:
    seen = end(scripts, start(scripts, code))
    assert seen.state == "failed"
    assert "cannot be read" in seen.message


KILLS_ITSELF = """
import os
print("started", flush=True)
open("left", "x").close()
if not os.path.exists("../restarts.json") or '"used": 1' in open("../restarts.json").read():
    os.kill(os.getpid(), 9)
open("outputs.json", "w").write('{"done": true}')
"""


def test_killed_process_starts_again_in_a_clean_folder(scripts: Scripts) -> None:
    spec = {"code": KILLS_ITSELF, "restarts": 2}
    job = scripts.submit(str(uuid4()), spec, "").external_id
    seen = end(scripts, job)
    assert seen.state == "succeeded"
    assert seen.outputs["done"] is True
    assert scripts.logs(job, "")[0].count("started") == 3


def test_process_killed_too_often_fails(scripts: Scripts) -> None:
    code = "import os; print('started', flush=True); os.kill(os.getpid(), 9)"
    job = scripts.submit(str(uuid4()), {"code": code, "restarts": 1}, "").external_id
    seen = end(scripts, job)
    assert seen.state == "failed"
    assert scripts.logs(job, "")[0].count("started") == 2


def test_killed_runner_is_replaced_and_leaves_nothing_running(scripts: Scripts) -> None:
    job = scripts.submit(str(uuid4()), {"code": HOLD, "restarts": 1}, "").external_id
    wait_for_log(scripts, job, "up")
    first = marked(MARK, job)
    os.kill(read_json(str(scripts.folder(job) / "runner.json"))["pid"], signal.SIGKILL)  # type: ignore[index]
    wait_until(lambda: "again" in scripts.poll(job).message, what="another runner")
    wait_until(lambda: scripts.logs(job, "")[0].count("up") == 2, what="the second start")
    assert not any(is_alive(each.pid, each.started) for each in first)
    scripts.cancel(job)
    assert end(scripts, job).state == "cancelled"


def test_job_sees_nothing_of_the_workers_environment(
    scripts: Scripts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTOLAN_SECRET_KEYS", "secret")
    code = "import os, json; json.dump(dict(os.environ), open('outputs.json', 'w'))"
    seen = end(scripts, start(scripts, code))
    assert "secret" not in json.dumps(dict(seen.outputs))
    assert seen.outputs["HOME"].startswith(str(tmp_path))


def test_probe_is_answered_by_a_confined_process(tmp_path: Path) -> None:
    probes = Probes(make_context(tmp_path))
    answer = probes.submit("p", {"topics": ["python", "confinement"]}, "").observation
    assert answer
    assert answer.outputs["confinement"]["landlock_abi"] > 0
    assert answer.outputs["confinement"]["readable"] == []
    assert set(answer.outputs) == {"python", "confinement"}


def test_folder_that_is_gone_is_an_error_with_a_next_step(scripts: Scripts) -> None:
    with pytest.raises(EngineError, match="Launch it again"):
        scripts.poll("nothing")
