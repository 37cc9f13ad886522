"""`manage.py up`, for real: started, killed in parts and whole, stopped."""

import datetime as dt
import os
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from portal.env import Env
from runtime.processes import is_alive, marked
from tests.house.portal import Portal
from tests.servers import free_port, wait_until

pytestmark = pytest.mark.process
HAS_SERVING = (Env().environments_dir / "serve" / "bin" / "python").exists()
PARTS = 5 if HAS_SERVING else 4


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Portal]:
    portal = Portal(tmp_path / "var")
    yield portal
    portal.end()


def _is_dead(pid: int, started: int) -> bool:
    return not is_alive(pid, started)


def said(process: "subprocess.Popen[str]") -> str:
    out, _ = process.communicate(timeout=60)
    return out


def test_portal_comes_up_greets_and_stops_in_order(portal: Portal) -> None:
    portal.start()
    assert portal.process
    assert portal.process.stdout
    assert "Portolan is up" in portal.process.stdout.readline()
    assert "shown this once" in portal.process.stdout.readline()
    running = wait_until(lambda: found if len(found := portal.processes()) == PARTS else None)
    assert portal.stop() <= 3
    assert portal.process.returncode == 0
    assert not any(is_alive(*each) for each in running)


def test_second_portal_on_the_same_folder_is_refused(portal: Portal) -> None:
    portal.start()
    second = portal.up("--port", str(free_port()))
    assert "is running on" in said(second)
    assert second.returncode != 0


def test_port_in_use_is_said_plainly(portal: Portal) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", portal.port))
        taken.listen()
        process = portal.up()
        assert f"Port {portal.port} on 127.0.0.1 cannot be used" in said(process)
        assert process.returncode != 0


def test_database_of_another_machine_is_refused(portal: Portal) -> None:
    portal.start()
    portal.end()
    portal.process = None
    with sqlite3.connect(portal.var / "portolan.sqlite3") as rows:
        now = dt.datetime.now(dt.UTC).isoformat(" ")
        row = ("first-machine", now, now)
        rows.execute("INSERT INTO jobs_host (name, started_at, seen_at) VALUES (?, ?, ?)", row)
    rows.close()
    second = portal.up()
    assert "in use by first-machine. SQLite serves one machine" in said(second)
    assert second.returncode != 0


@pytest.mark.skipif(not HAS_SERVING, reason="the scoring server is not set up")
def test_scoring_servers_port_in_use_is_said_plainly(portal: Portal) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", portal.serving_port))
        taken.listen()
        text = said(portal.up())
    assert f"Port {portal.serving_port} on 127.0.0.1 cannot be used" in text
    assert "PORTOLAN_SERVING_PORT" in text


def test_every_part_that_is_killed_comes_back(portal: Portal) -> None:
    portal.start()
    for pid, started in portal.processes():
        os.kill(pid, signal.SIGKILL)
        wait_until(partial(_is_dead, pid, started), what="it to die")

    def all_new() -> bool:
        return len(portal.processes()) == PARTS and portal.is_ready()

    wait_until(all_new, seconds=60, what="all parts to be back")
    instance = portal.ready()["instance"]
    assert len(marked("PORTOLAN_INSTANCE", instance)) >= PARTS
    portal.stop()
    wait_until(lambda: not marked("PORTOLAN_INSTANCE", instance), what="nothing to be left")


def test_new_portal_starts_where_one_was_killed(portal: Portal) -> None:
    portal.start()
    left = portal.processes()
    before = portal.ready()["instance"]
    assert portal.process
    assert portal.process.stdout
    portal.process.kill()
    portal.process.wait()
    portal.process.stdout.close()
    portal.start()
    assert portal.ready()["instance"] != before
    wait_until(lambda: not any(is_alive(*each) for each in left), what="the old ones to be gone")
