"""Landlock, tried from inside. Each attempt is made twice: unconfined, where it must work, so that
it is no attempt at something that is not there; and confined, where it must be refused."""

import json
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.up import broker_service
from runtime.confine import landlock_abi
from tests.servers import valkey_binary, wait_until

OUTSIDE = Path(__file__).parent / "outside.py"
SECRET = "the-secret"
# Landlock calls a hard link to outside one to another device; `escape` asks after its child.
REFUSALS = ("PermissionError", "Invalid cross-device link", "the child was refused")
PASSWORD = secrets.token_hex(8)


class Site:
    """A site's folder with its key, database, broker and somebody else's job; and a process with
    a secret in its environment, which stands for the worker."""

    def __init__(self, var: Path, port: int) -> None:
        self.var, self.mine = var, var / "jobs" / "mine"
        for folder in (self.mine, var / "jobs" / "other", var / "keys"):
            folder.mkdir(parents=True)
        for name in ("keys/secret-keys", "portolan.sqlite3", "jobs/other/outputs.json"):
            (var / name).write_text(SECRET)
        (var / "keys" / "broker-password").write_text(PASSWORD)
        self.broker = self._start_broker()
        self.worker = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"], env={"TOKEN": SECRET}
        )
        self.places = {
            "key": var / "keys" / "secret-keys",
            "database": var / "portolan.sqlite3",
            "other job": var / "jobs" / "other" / "outputs.json",
            "other job's folder": var / "jobs" / "other",
            "outside": var / "new-file",
            "elsewhere": var.parent / "new-file",
            "environment": f"/proc/{self.worker.pid}/environ",
            "memory map": f"/proc/{self.worker.pid}/maps",
            "worker": self.worker.pid,
            "port": port,
            "broker": f"{var}/run/broker.sock:{var}/keys/broker-password",
        }

    def _start_broker(self) -> "subprocess.Popen[bytes]":
        path = self.var / "run" / "broker.sock"
        service = broker_service(valkey_binary(), self.var, path, PASSWORD)
        process = subprocess.Popen(service.argv, stdout=subprocess.DEVNULL)
        wait_until(path.exists, what="the broker's socket")
        return process

    def attempt(
        self, attempt: str, what: str, *, is_confined: bool
    ) -> "subprocess.CompletedProcess[str]":
        order = {
            "attempt": attempt,
            "what": str(self.places.get(what, what)),
            "folder": str(self.mine),
            "is_confined": is_confined,
        }
        argv = [sys.executable, "-I", "-S", str(OUTSIDE), json.dumps(order)]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)

    def end(self) -> None:
        for process in (self.broker, self.worker):
            process.kill()
            process.wait()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        site = Site(tmp_path / "var", server.getsockname()[1])
        yield site
        site.end()


def needs_abi(attempt: str) -> int:
    return {"connect": 4, "signal": 6}.get(attempt, 1)


@pytest.mark.parametrize(
    ("attempt", "what"),
    [
        ("read", "key"),
        ("read", "database"),
        ("read", "other job"),
        ("read", "environment"),
        ("read", "memory map"),
        ("read", "/etc/passwd"),
        ("look_into", "other job's folder"),
        ("look_into", "/proc"),
        ("read_through_a_link", "key"),
        ("link_hard", "key"),
        ("move_out", "outside"),
        ("write", "outside"),
        ("write", "elsewhere"),
        ("write", "database"),
        ("use_broker", "broker"),
        ("signal", "worker"),
        ("connect", "port"),
        ("escape", "key"),
    ],
)
def test_what_works_outside_is_refused_inside(site: Site, attempt: str, what: str) -> None:
    if landlock_abi() < needs_abi(attempt):
        pytest.skip(f"this kernel's Landlock is version {landlock_abi()}")
    inside = site.attempt(attempt, what, is_confined=True)
    assert inside.returncode != 0
    assert any(word in inside.stderr for word in REFUSALS), inside.stderr
    for made in site.mine.iterdir():
        made.unlink()
    outside = site.attempt(attempt, what, is_confined=False)
    assert outside.returncode == 0, outside.stderr


def test_broker_refuses_whoever_has_no_password(site: Site) -> None:
    path = str(site.var / "run" / "broker.sock")
    for is_confined in (False, True):
        tried = site.attempt("use_broker_without_password", path, is_confined=is_confined)
        assert "AssertionError" in tried.stderr


def test_own_folder_can_be_used(site: Site) -> None:
    for attempt in ("write", "read"):
        tried = site.attempt(attempt, str(site.mine / "own"), is_confined=True)
        assert tried.returncode == 0, tried.stderr
