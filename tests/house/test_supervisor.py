"""The supervisor by itself, over small processes that do as a test needs."""

import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from portal import up
from portal.up import CannotStart, Service, Supervisor
from runtime.processes import Process, all_processes
from tests.servers import wait_until

STUBBORN = (
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
)


def service(name: str, code: str, *, grace: float = 1.0) -> Service:
    return Service(name, [sys.executable, "-S", "-c", code], grace=grace)


def supervise(var: Path, *services: Service) -> tuple[Supervisor, list[str]]:
    said: list[str] = []
    return Supervisor(var, services, said.append), said


def turn(supervisor: Supervisor, is_so: Callable[[], object]) -> None:
    def looked() -> object:
        supervisor.look()
        return is_so()

    wait_until(looked)


def test_part_that_keeps_dying_is_started_ever_later(tmp_path: Path) -> None:
    broken = service("broken", "raise SystemExit(3)")
    supervisor, said = supervise(tmp_path, broken)
    turn(supervisor, lambda: len(said) == 3)
    assert [line.split("; ")[1].split(". ")[0] for line in said] == [
        "next start in 0 s",
        "next start in 1 s",
        "next start in 3 s",
    ]
    assert "broken ended (exit code 3)" in said[0]
    assert str(tmp_path / "log" / "broken.log") in said[0]
    supervisor.stop()


def test_wait_between_starts_has_a_longest(tmp_path: Path) -> None:
    broken = service("broken", "raise SystemExit(3)")
    broken.failures = 50
    supervisor, said = supervise(tmp_path, broken)
    turn(supervisor, lambda: said)
    assert "next start in 30 s" in said[0]


def test_stopping_is_in_order_and_in_time_whoever_will_not_go(tmp_path: Path) -> None:
    parts = [service(f"part{number}", STUBBORN) for number in range(4)]
    supervisor, _ = supervise(tmp_path, *parts)
    supervisor.look()
    logs = [tmp_path / "log" / f"{part.name}.log" for part in parts]
    wait_until(lambda: all(log.read_text() for log in logs), what="all to be up")
    began = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - began <= 3
    assert not any(part.is_running for part in parts)
    assert not (tmp_path / "run" / "processes.json").exists()


FAMILY = "import os, time; os.fork(); print(1, flush=True); time.sleep(60)"


def start_family(supervisor: Supervisor) -> Callable[[], list[Process]]:
    """Look until a part and its child are up; returns who is left of the two."""
    supervisor.look()
    process = supervisor.services[0].process
    assert process
    log = supervisor.var / "log" / "family.log"
    wait_until(lambda: log.read_text().count("1") == 2, what="both to be up")
    return lambda: [
        each for each in all_processes() if each.session == process.pid and each.state not in "ZX"
    ]


def test_what_a_part_has_started_goes_with_it(tmp_path: Path) -> None:
    supervisor, _ = supervise(tmp_path, service("family", FAMILY))
    left = start_family(supervisor)
    assert len(left()) == 2
    supervisor.stop()
    wait_until(lambda: left() == [], what="both to be gone")


def test_killed_parts_child_does_not_go_on_beside_the_next_one(tmp_path: Path) -> None:
    supervisor, said = supervise(tmp_path, service("family", FAMILY))
    left = start_family(supervisor)
    assert len(left()) == 2
    process = supervisor.services[0].process
    assert process
    process.kill()
    turn(supervisor, lambda: said)
    wait_until(lambda: left() == [], what="the child to be gone")
    supervisor.stop()


def test_children_of_a_killed_instance_are_ended_at_the_next_start(tmp_path: Path) -> None:
    first, _ = supervise(tmp_path, service("family", FAMILY))
    left = start_family(first)
    process = first.services[0].process
    assert process
    process.kill()
    process.wait()
    assert len(left()) == 1
    supervise(tmp_path)[0].end_orphans()
    assert left() == []


def test_signal_ends_the_loop(tmp_path: Path) -> None:
    supervisor, _ = supervise(tmp_path, service("part", "import time; time.sleep(60)"))
    before = signal.signal(signal.SIGTERM, supervisor.ask_to_stop)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
    supervisor.run()
    signal.signal(signal.SIGTERM, before)
    assert not supervisor.services[0].is_running


def test_log_is_rotated_and_five_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "LOG_BYTES", 10)
    supervisor, _ = supervise(tmp_path, service("talker", "import time; time.sleep(60)"))
    log = tmp_path / "log" / "talker.log"
    for number in range(8):
        log.write_text(f"this is log {number}")
        supervisor.look()
    kept = {path.name: path.read_text() for path in (tmp_path / "log").iterdir()}
    assert kept.pop("talker.log") == ""
    assert kept == {f"talker.log.{n}": f"this is log {8 - n}" for n in range(1, 6)}
    supervisor.stop()


def test_lock_is_one_and_says_who_has_it(tmp_path: Path) -> None:
    with (
        up.take_lock(tmp_path / "portolan.lock", "abc"),
        pytest.raises(CannotStart, match=f"process {os.getpid()}, instance abc"),
    ):
        up.take_lock(tmp_path / "portolan.lock", "def")
    up.take_lock(tmp_path / "portolan.lock", "def").close()


def test_brokers_password_is_in_no_command_line_and_no_open_file(tmp_path: Path) -> None:
    made = up.broker_service("valkey", tmp_path, tmp_path / "run" / "broker.sock", "the-password")
    assert "the-password" not in " ".join(made.argv)
    config = tmp_path / "broker" / "valkey.conf"
    assert "requirepass the-password" in config.read_text()
    assert "port 0" in config.read_text()
    for path, mode in ((config, 0o600), (config.parent, 0o700), (tmp_path / "run", 0o700)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
