"""A demo run for a test: `manage.py demo` in a folder of its own, and a client of what it made."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from portal.demo.client import Client
from runtime.processes import read_process
from tests.servers import free_port, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
TOKEN = (
    "from apps.accounts.models import User; from apps.accounts.scopes import SCOPES;"
    "from apps.accounts.tokens import create_token; u = User.objects.earliest('pk');"
    "print(create_token(u, name='test', scopes=SCOPES, days=1, created_by=u)[1])"
)
Watch = Callable[[str], None]


class Demo:
    """`lines` is what it printed so far; `watch` is told each line as it comes."""

    def __init__(self, var: Path) -> None:
        self.var, self.port, self.serving_port = var, free_port(), free_port()
        self.lines: list[str] = []
        self.process: subprocess.Popen[str] | None = None
        self.reader: threading.Thread | None = None

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "PORTOLAN_VAR_DIR": str(self.var),
            "PORTOLAN_PORT": str(self.port),
            "PORTOLAN_SERVING_PORT": str(self.serving_port),
            "PORTOLAN_BASE_URL": f"http://127.0.0.1:{self.port}",
        }
        return {**os.environ, **own}

    def start(self, *more: str, watch: Watch | None = None) -> None:
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "demo", *more],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.reader = threading.Thread(target=self._read, args=(self.process, watch), daemon=True)
        self.reader.start()

    def _read(self, process: "subprocess.Popen[str]", watch: Watch | None) -> None:
        assert process.stdout
        for line in process.stdout:
            self.lines.append(line.rstrip())
            if watch:
                watch(line)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, word: str, seconds: float = 420) -> None:
        def seen() -> bool:
            assert self.process
            ended = self.process.poll() is not None and word not in self.text
            assert not ended, f"the demo ended without “{word}”:\n{self.text}"
            return word in self.text

        wait_until(seen, seconds=seconds, what=f"“{word}” of the demo")

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)
        if self.reader:
            self.reader.join(10)
        if self.process and self.process.stdout:
            self.process.stdout.close()

    def client(self) -> Client:
        made = subprocess.run(
            [sys.executable, "manage.py", "shell", "-v0", "-c", TOKEN],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return Client(f"http://127.0.0.1:{self.port}", made.stdout.split()[-1])

    def query(self, sql: str, *values: Any) -> list[Any]:
        with sqlite3.connect(self.var / "portolan.sqlite3", timeout=20) as connection:
            return connection.execute(sql, values).fetchall()

    def serving(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.serving_port}/readyz"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return dict(json.load(answer))

    def kill_part(self, mark: str) -> bool:
        """SIGKILL the parts of this portal whose command line holds `mark`."""
        listed = json.loads((self.var / "run" / "processes.json").read_text())["processes"]
        found = [pid for pid, _ in listed if mark in command_of(pid)]
        for pid in found:
            _kill(pid)
        return bool(found)

    def kill_child(self, mark: str) -> bool:
        """SIGKILL one job's process, by what its command line holds."""
        for name in os.listdir("/proc"):  # noqa: PTH208  (names are what is wanted)
            if not name.isdigit() or mark not in command_of(int(name)):
                continue
            try:
                place = str(Path(f"/proc/{name}/cwd").readlink())
            except OSError:
                continue
            if place.startswith(str(self.var / "jobs")) and place.endswith("/work"):
                _kill(int(name))
                return True
        return False


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _kill(pid: int) -> None:
    if read_process(pid):
        os.kill(pid, signal.SIGKILL)
