"""The whole portal as one process, for tests that start it as people do."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.servers import free_port, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent


class Portal:
    """`manage.py up` in a folder of its own, on SQLite unless `database_url` says otherwise."""

    def __init__(self, var: Path, database_url: str = "") -> None:
        self.var, self.database_url = var, database_url
        self.port, self.serving_port = free_port(), free_port()
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "PORTOLAN_VAR_DIR": str(self.var),
            "PORTOLAN_PORT": str(self.port),
            "PORTOLAN_SERVING_PORT": str(self.serving_port),
            "PORTOLAN_BASE_URL": self.url,
            "PORTOLAN_DATABASE_URL": self.database_url,
            "PORTOLAN_TICK_SECONDS": "0.2",
        }
        return {**os.environ, **own}

    def up(self, *more: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "manage.py", "up", *more],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start(self) -> None:
        self.process = self.up()
        wait_until(self.is_ready, seconds=60, what="the portal to be ready")

    def ready(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.port}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            with error:
                return dict(json.load(error))
        except (OSError, ValueError):
            return {}

    def is_ready(self) -> bool:
        """Whether this very portal is, not one that was killed and still answers a little."""
        told, lock = self.ready(), self.var / "portolan.lock"
        ours = f"process {self.process.pid if self.process else 0}, instance {told.get('instance')}"
        return told.get("status") == "ok" and lock.read_text().strip() == ours

    def processes(self) -> list[tuple[int, int]]:
        """Pid and start time of every part."""
        text = (self.var / "run" / "processes.json").read_text()
        return [(pid, started) for pid, started in json.loads(text)["processes"]]

    def stop(self) -> float:
        assert self.process
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        return time.monotonic() - began

    def end(self) -> None:
        if self.process:
            if self.process.poll() is None:
                self.stop()
            assert self.process.stdout
            self.process.stdout.close()

    def run(self, *arguments: str) -> str:
        """Another of `manage.py`'s commands, on the same folder and database."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
