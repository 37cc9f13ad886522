"""A real scoring server for tests, and a client that says exactly what it is told to."""

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.files import write_json
from tests.servers import free_port, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent.parent
ENVIRONMENTS = ROOT / ".envs"
SERVE = ENVIRONMENTS / "serve" / "bin" / "python"
TRAIN = ENVIRONMENTS / "train" / "bin" / "python"
KEY = "ptk_of-the-tests"
ROW = {"spend": 0.5, "visits": 3, "is_member": True, "age": "old"}


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def release(slug: str, package: Path, weight: int, *, uuid: str = "") -> dict[str, Any]:
    uuid = uuid or f"release-{slug}"
    return {"uuid": uuid, "slug": slug, "version": "v", "package": str(package), "weight": weight}


def endpoint(slug: str, releases: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    own = {
        "uuid": f"endpoint-{slug}",
        "path": f"churn/{slug}",
        "keys": [{"id": "k", "digest": digest(KEY), "expires_at": None}],
        "releases": releases,
        "sticky": None,
        "capture": {"is_on": True, "sample": 1.0, "columns": {}},
        "limits": {"rows": 100, "body_bytes": 65536, "queue": 2, "deadline_seconds": 5},
    }
    return {**own, **more}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class ScoringServer:
    """`push` hands it a snapshot and waits until it has taken it, or refused it."""

    var: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None
    number: int = 0

    @property
    def folder(self) -> Path:
        return self.var / "serving"

    def start(self) -> "ScoringServer":
        self.folder.mkdir(parents=True, exist_ok=True)
        entry = ROOT / "runtime" / "serving" / "__main__.py"
        where = ["--var", str(self.var), "--environments", str(ENVIRONMENTS)]
        with (self.var / "serving.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(SERVE), "-I", str(entry), *where, "--port", str(self.port)],
                stdout=log,
                stderr=log,
                env={**os.environ, "PORTOLAN_INSTANCE": "an-instance"},
            )
        wait_until(self.is_up, what="the scoring server")
        return self

    def is_up(self) -> bool:
        assert self.process
        assert self.process.poll() is None, (self.var / "serving.log").read_text()
        try:
            return self.get("/healthz").status == 200 and self.status()["pid"] == self.process.pid
        except OSError:
            return False

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def status(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.folder / "status.json").read_text()))
        except FileNotFoundError:
            return {"pid": 0}

    def push(self, *endpoints: dict[str, Any]) -> dict[str, Any]:
        """The status after it has looked at a snapshot of these endpoints."""
        self.number += 1
        self.write({"number": self.number, "made_at": "", "endpoints": list(endpoints)})
        return self.taken()

    def write(self, snapshot: dict[str, Any]) -> None:
        write_json(str(self.folder / "routes.json"), snapshot)

    def taken(self) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            status = self.status()
            refused = status.get("refused") or {"number": 0}
            is_seen = self.number in (status.get("applied"), refused["number"])
            return status if is_seen else None

        return dict(wait_until(look, what=f"snapshot {self.number}"))

    def get(self, path: str) -> Answer:
        return self.send("GET", path, None, {})

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        """POST with the key; header names are written with underscores."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        own = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", path, data, own | given)

    def send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers)
            return read(connection.getresponse())
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        """Send bytes and read all that comes until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(data)
            answer = b""
            while block := connection.recv(65536):
                answer += block
            return answer


def read(response: http.client.HTTPResponse) -> Answer:
    data = response.read()
    is_json = "json" in response.headers.get("Content-Type", "")
    body = json.loads(data) if is_json and data else data.decode()
    return Answer(response.status, dict(response.headers), body)


def head(path: str, *lines: str) -> bytes:
    """The head of a POST with the key, for `raw`."""
    own = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {KEY}"]
    return "\r\n".join([*own, *lines, "", ""]).encode()
