"""A portal of the benchmark's own: `manage.py up` on a folder that is gone afterwards."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Portal:
    var: Path
    port: int
    serving_port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        own = {"PORTOLAN_VAR_DIR": self.var, "PORTOLAN_PORT": self.port}
        own |= {"PORTOLAN_SERVING_PORT": self.serving_port}
        named = {name: str(value) for name, value in own.items()}
        return {**os.environ, **named, "PORTOLAN_BASE_URL": self.url}

    @contextmanager
    def up(self) -> Iterator[float]:
        """Run it; the value is how many seconds it took to its first page."""
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.DEVNULL,
        )
        try:
            yield self._first_page(process) - began
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)

    def _first_page(self, process: "subprocess.Popen[bytes]") -> float:
        while process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/account/login/", timeout=5) as answer:
                    assert b"Sign in" in answer.read()
                    return time.perf_counter()
            except OSError:
                time.sleep(0.01)
        raise SystemExit("The portal did not come up.")

    def wait_until_ready(self) -> None:
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/readyz", timeout=5).close()
            except OSError:
                time.sleep(0.05)
            else:
                return

    def post(self, path: str, body: dict[str, Any], token: str) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.url}{path}", json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return dict(json.load(answer))


@contextmanager
def new_portal() -> Iterator[Portal]:
    # A short path: a unix socket's may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        yield Portal(folder / "var", free_port())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
