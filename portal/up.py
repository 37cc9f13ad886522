"""The supervisor behind `manage.py up`: broker, worker, tick, scoring server and web, and nothing
lost between.

One thread, no database: it starts what it is given, starts it again when it dies, keeps the logs
short, and stops everything in order. Job runners are not its children; they go on without it.
"""

import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from runtime.confine import PR_SET_PDEATHSIG
from runtime.files import read_json, write_json
from runtime.processes import Process, all_processes, read_process

LOOK_SECONDS = 0.2
HEALTHY_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 30.0
STOP_SECONDS = 2.6
LOG_BYTES = 10 * 1024 * 1024
LOGS_KEPT = 5
READY_SECONDS = 60.0
SERVING = Path(__file__).resolve().parent.parent / "runtime" / "serving" / "__main__.py"

_libc = ctypes.CDLL(None)


class CannotStart(Exception):
    """The portal cannot start here. The message says why and what to do."""


@dataclass
class Service:
    """One process of the portal: how it is started, and how its starting has gone.

    `grace` is how many seconds it may take to stop; `stage` when: what others stand on has a lower
    one, and stops after them.
    """

    name: str
    argv: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    grace: float = 1.0
    stage: int = 2
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    start_at: float = 0.0
    failures: int = 0

    @property
    def pid(self) -> int:
        """0 while it has not been started."""
        return self.process.pid if self.process else 0

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


def take_lock(path: Path, instance: str) -> IO[str]:
    """Hold the portal's one lock for as long as the file is open. Raise CannotStart when another
    holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip() or "another process"
        lock.close()
        raise CannotStart(
            f"A portal is running on {path.parent} already ({holder}). Stop it first, or set "
            "PORTOLAN_VAR_DIR to run a second one beside it."
        ) from None
    lock.truncate(0)
    lock.write(f"process {os.getpid()}, instance {instance}\n")
    lock.flush()
    return lock


def require_free_port(host: str, port: int, *, setting: str = "PORTOLAN_PORT") -> None:
    """The web server shares a port without a word; so look first. Raise CannotStart, which names
    the setting that chooses another."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotStart(
                f"Port {port} on {host} cannot be used: {error.strerror}. Stop what uses it, or "
                f"choose another port: {setting}={port + 1}."
            ) from None


class Supervisor:
    """Runs services until told to stop. Use from the main thread: children die with it."""

    def __init__(self, var: Path, services: Iterable[Service], say: Callable[[str], None]) -> None:
        self.var, self.services, self.say = var, list(services), say
        self.stopping = False
        self.roster = var / "run" / "processes.json"
        for folder in ("run", "log"):
            (var / folder).mkdir(parents=True, exist_ok=True, mode=0o700)

    def end_orphans(self) -> None:
        """End what an instance that was killed has left: known by session, pid and start time."""
        listed = (read_json(str(self.roster)) or {}).get("processes", [])
        for number, seconds in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0)):
            for pid in {each.session for each in _left_of(listed)}:
                _signal_group(pid, number)
            ends = time.monotonic() + seconds
            while _left_of(listed) and time.monotonic() < ends:
                time.sleep(0.05)

    def start(self, service: Service) -> None:
        with (self.var / "log" / f"{service.name}.log").open("ab") as log:
            service.process = subprocess.Popen(
                service.argv,
                env={**os.environ, **service.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        service.started_at = time.monotonic()
        self._write_roster()

    def _write_roster(self) -> None:
        pids = [each.process.pid for each in self.services if each.process and each.is_running]
        known = [(pid, found.started) for pid in pids if (found := read_process(pid))]
        write_json(str(self.roster), {"processes": known})

    def look(self) -> None:
        """Start whatever is down and due; a service that keeps dying waits longer each time."""
        now = time.monotonic()
        for service in self.services:
            if service.is_running:
                if service.failures and now - service.started_at > HEALTHY_SECONDS:
                    service.failures = 0
            elif service.process is not None:
                code = service.process.returncode
                # What it leaves behind would go on, on the same port, unseen and never stopped.
                _signal_group(service.process.pid, signal.SIGKILL)
                service.process = None
                wait = min(2.0**service.failures - 1, LONGEST_WAIT_SECONDS)
                service.failures += 1
                service.start_at = now + wait
                log = self.var / "log" / f"{service.name}.log"
                self.say(f"{service.name} ended ({_ending(code)}); next start in {wait:g} s. {log}")
            elif now >= service.start_at:
                self.start(service)
            _shorten(self.var / "log" / f"{service.name}.log")

    def run(self) -> None:
        """Look after everything until SIGTERM or SIGINT, then stop in order."""
        while not self.stopping:
            self.look()
            time.sleep(LOOK_SECONDS)
        self.stop()

    def ask_to_stop(self, *_: object) -> None:
        self.stopping = True

    def stop(self) -> None:
        """The highest `stage` first; those of one stage together, each within its grace, and all
        within three seconds."""
        ends = time.monotonic() + STOP_SECONDS
        for stage in sorted({service.stage for service in self.services}, reverse=True):
            group = [each for each in self.services if each.stage == stage and each.process]
            for service in group:
                _signal_group(service.pid, signal.SIGTERM)
            asked_at = time.monotonic()
            for service in group:
                _end_by(service, min(asked_at + service.grace, ends))
        self.roster.unlink(missing_ok=True)


def _end_by(service: Service, moment: float) -> None:
    """Wait for a service that was asked to stop; at the moment, end it and what it had started."""
    assert service.process  # noqa: S101  (asked to stop, so it was started)
    try:
        service.process.wait(max(moment - time.monotonic(), 0.05))
    except subprocess.TimeoutExpired:
        _signal_group(service.pid, signal.SIGKILL)
        service.process.wait()
    # Whatever it had started in its own group goes too.
    _signal_group(service.pid, signal.SIGKILL)


def wait_until_ours(url: str, instance: str, is_dead: Callable[[], bool]) -> bool:
    """Wait until the page that answers is this instance's own, not an older server's."""
    ends = time.monotonic() + READY_SECONDS
    while time.monotonic() < ends and not is_dead():
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:  # noqa: S310
                if json.load(answer).get("instance") == instance:
                    return True
        except (OSError, ValueError, urllib.error.URLError):
            pass
        time.sleep(0.05)
    return False


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _left_of(listed: Iterable[tuple[int, int]]) -> list[Process]:
    """Who still runs of these sessions, their leaders or not. While anybody does, the kernel gives
    the leader's pid to nobody else; so another process of that pid means that nobody does."""
    leaders = ((pid, started, read_process(pid)) for pid, started in listed)
    ours = {pid for pid, started, now in leaders if now is None or now.started == started}
    return [each for each in all_processes() if each.session in ours and each.state not in "ZX"]


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _shorten(path: Path) -> None:
    """Rotate a log that has grown too long. The process goes on writing to the same file."""
    try:
        if path.stat().st_size < LOG_BYTES:
            return
    except FileNotFoundError:
        return
    for number in range(LOGS_KEPT - 1, 0, -1):
        older = path.with_suffix(f".log.{number}")
        if older.exists():
            older.rename(path.with_suffix(f".log.{number + 1}"))
    shutil.copyfile(path, path.with_suffix(".log.1"))
    os.truncate(path, 0)


def broker_service(binary: str, var: Path, socket_path: Path, password: str) -> Service:
    """The bundled Valkey: on a unix socket nobody else may enter, with a password besides.

    The password is in a file of the portal's own, not on the command line, where all can read it.
    """
    folder = var / "broker"
    for path in (folder, socket_path.parent):
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)
    config = folder / "valkey.conf"
    config.touch(mode=0o600)
    config.write_text(
        "port 0\n"
        f'unixsocket "{socket_path}"\n'
        "unixsocketperm 700\n"
        f"requirepass {password}\n"
        f'dir "{folder}"\n'
        'appendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\nsave ""\n'
        "daemonize no\n"
    )
    socket_path.unlink(missing_ok=True)
    return Service("broker", [binary, str(config)], grace=0.6, stage=0)


def worker_argv(*, pool: str, concurrency: int, host: str) -> list[str]:
    queues = f"jobs,interactive,host.{host}"
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    options = ["-P", pool, "-c", str(concurrency), "-Q", queues, "-l", "INFO", *quiet]
    return [sys.executable, "-m", "celery", "-A", "portal.celery", "worker", *options]


def serving_service(
    *, environments: Path, var: Path, bind: str, port: int, environment: dict[str, str]
) -> Service | None:
    """The scoring server, run by its own environment's Python; None where that is not set up."""
    python = environments / "serve" / "bin" / "python"
    if not python.exists():
        return None
    where = ["--var", str(var), "--environments", str(environments)]
    address = ["--bind", bind, "--port", str(port)]
    argv = [str(python), "-I", str(SERVING), *where, *address]
    # ONNX Runtime keeps notes of its own in the home folder: let that be one of ours.
    environment = {**environment, "HOME": str(var / "serving")}
    return Service("serving", argv, environment, grace=0.9)


def web_argv(*, bind: str, port: int, workers: int, threads: int) -> list[str]:
    server = [sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws"]
    where = ["--host", bind, "--port", str(port)]
    size = ["--workers", str(workers), "--blocking-threads", str(threads)]
    return [*server, *where, *size, "portal.wsgi:application"]
