"""The process: opens the port, follows the snapshot, tells its status, drains when told to end."""

import argparse
import asyncio
import fcntl
import gc
import logging
import os
import secrets
import signal
import socket
import sys
import time
from typing import Any

from runtime.files import write_json
from runtime.processes import read_process
from runtime.serving.admin import ADMIN_SOCKET, Admin, bind_unix
from runtime.serving.connection import App, Connection
from runtime.serving.keeper import Keeper
from runtime.serving.loading import Loader, close
from runtime.serving.router import Router, Table
from runtime.serving.routes import Snapshot, SnapshotError, read_snapshot

log = logging.getLogger("portolan.serving")
LOOK_SECONDS = 0.1
TIDY_SECONDS = 1.0
DRAIN_SECONDS = 0.6
BACKLOG = 2048
MAX_CONNECTIONS = 4096
CANNOT_START = 2


class CannotStart(Exception):
    """The server cannot start here. The message says why and what to do."""


class Server:
    """One scoring server on one folder."""

    def __init__(self, var: str, environments: str, instance: str) -> None:
        self.folder = os.path.join(var, "serving")
        self.instance = instance
        self.router = Router(instance)
        self.keeper = Keeper(instance[:12], lambda: self.router.table.releases.values())
        scratch = os.path.join(self.folder, "native")
        self.loader = Loader(os.path.join(var, "captures"), scratch, environments)
        self._secret = _secret(os.path.join(self.folder, "hash.key"))
        self._connections: set[Connection] = set()
        self._servers: list[asyncio.Server] = []
        self._looked_at: tuple[int, ...] = ()
        self._refused: dict[str, Any] | None = None
        self._told: dict[str, Any] = {}
        self._started_at = time.time()
        self._applied_at = 0.0
        self._ending = asyncio.Event()

    async def run(self, listening: socket.socket) -> None:
        """Serve until SIGTERM or SIGINT, then answer what is under way and write what is captured.

        The port is listened on before anything is loaded: whoever comes early waits a moment.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ending.set)
        await self._begin()
        self.keeper.start()
        # Requests make no cycles: look for some rarely, and never among what is loaded.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 50, 100)
        await self._open(self.router, listening)
        await self._open(Admin(self.keeper, self._status), bind_unix(self.folder, ADMIN_SOCKET))
        tasks = [loop.create_task(self._follow()), loop.create_task(self._tidy())]
        await self._ending.wait()
        for task in tasks:
            task.cancel()
        await self._drain()

    async def _open(self, app: App, listening: socket.socket) -> None:
        def connect() -> Connection:
            return Connection(app, self._connections, MAX_CONNECTIONS)

        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(connect, sock=listening, backlog=BACKLOG))

    async def _begin(self) -> None:
        """After a start: serve the snapshot, or else the last one that was good."""
        try:
            snapshot, self._looked_at = self._read()
        except SnapshotError as error:
            log.error("the snapshot is refused: %s", error)
            self._refused = {"number": None, "message": str(error), "endpoint": error.endpoint}
            snapshot = None
        if snapshot is None:
            try:
                snapshot = read_snapshot(self._path("applied.json"))
            except SnapshotError as error:
                log.error("the last good snapshot is lost: %s", error)
        if snapshot is not None:
            table = await self.loader.make(snapshot, self.router.table, is_lenient=True)
            self._swap(table)
        self._tell()

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _read(self) -> tuple[Snapshot | None, tuple[int, ...]]:
        self._looked_at = _stamp(self._path("routes.json"))
        return read_snapshot(self._path("routes.json")), self._looked_at

    async def _follow(self) -> None:
        """Look for another snapshot, apply it or refuse it, and say which."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if _stamp(self._path("routes.json")) != self._looked_at:
                await self._take()
            self._tell()

    async def _take(self) -> None:
        number = None
        try:
            snapshot, self._looked_at = self._read()
            if snapshot is None or snapshot.number == self.router.table.number:
                return
            number, applied = snapshot.number, self.router.table.number
            if number < applied:
                raise SnapshotError(f"Snapshot {number} is older than {applied}, which is served.")
            table = await self.loader.make(snapshot, self.router.table, is_lenient=False)
        except SnapshotError as error:
            log.error("snapshot %s is refused: %s", number, error)
            told = {"message": str(error), "endpoint": error.endpoint}
            self._refused = {"number": number, **told}
            return
        except Exception as error:
            # A bug while loading must not end the serving of what is good.
            log.exception("snapshot %s could not be applied", number)
            text = f"It could not be applied: {error}"
            self._refused = {"number": number, "message": text, "endpoint": ""}
            return
        self._refused = None
        self._swap(table)
        log.info("snapshot %d is served", table.number)

    def _swap(self, table: Table) -> None:
        """From one request to the next: the new table. What nobody routes to any more is closed."""
        for endpoint in table.endpoints.values():
            for release in endpoint.releases.values():
                if ring := release.set_capture(endpoint.spec.capture, self._secret):
                    self.keeper.leave(release, ring)
        before, self.router.table = self.router.table, table
        self._applied_at = time.time()
        for release in before.releases.values():
            if table.releases.get(release.uuid) is not release:
                if release.ring:
                    self.keeper.leave(release, release.ring)
                close(release)
        self._keep_applied()

    def _keep_applied(self) -> None:
        """A copy of what is served, for a start at which the snapshot itself is no good."""
        try:
            draft = self._path("applied.json.draft")
            with open(self._path("routes.json"), "rb") as file, open(draft, "wb") as copy:
                copy.write(file.read())
            if (kept := read_snapshot(draft)) and kept.number == self.router.table.number:
                os.rename(draft, self._path("applied.json"))
        except (OSError, SnapshotError) as error:
            log.error("the snapshot could not be kept: %s", error)

    def _status(self) -> dict[str, Any]:
        releases = {each.uuid: each.state() for each in self.router.table.releases.values()}
        failed = {
            uuid: {"state": "failed", "engine": "", "message": text}
            for uuid, text in self.loader.failed.items()
        }
        me = read_process(os.getpid())
        return {
            "pid": os.getpid(),
            "process_started": me.started if me else 0,
            "started_at": self._started_at,
            "instance": self.instance,
            "applied": self.router.table.number,
            "applied_at": self._applied_at,
            "refused": self._refused,
            "releases": failed | releases,
        }

    def _tell(self) -> None:
        """Write the status where it has changed."""
        status = self._status()
        if status != self._told:
            try:
                write_json(self._path("status.json"), status)
            except OSError as error:
                log.error("the status cannot be written: %s", error)
                return
            self._told = status

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            now = time.monotonic()
            for connection in list(self._connections):
                connection.close_if_idle(now)

    async def _drain(self) -> None:
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.end()
        ends = time.monotonic() + DRAIN_SECONDS
        while self._connections and time.monotonic() < ends:
            await asyncio.sleep(0.01)
        for release in self.router.table.releases.values():
            close(release)
        self.keeper.stop()


def _stamp(path: str) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return (found.st_mtime_ns, found.st_ino, found.st_size)


def _secret(path: str) -> bytes:
    """What hashed columns are hashed with; made once."""
    try:
        with open(path, "rb") as file:
            return file.read(64)
    except FileNotFoundError:
        secret = secrets.token_bytes(32)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
        return secret


def _listen(bind: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((bind, port))
        listening.listen(BACKLOG)
    except OSError as error:
        raise CannotStart(
            f"Port {port} on {bind} cannot be used: {error.strerror}. Stop what uses it, or choose "
            "another: PORTOLAN_SERVING_PORT."
        ) from None
    listening.setblocking(False)
    return listening


def _lock(folder: str) -> int:
    descriptor = os.open(os.path.join(folder, "router.lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotStart(f"Another scoring server runs on {folder}. Stop it first.") from None
    return descriptor


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="serving", description=__doc__)
    parser.add_argument("--var", required=True)
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8301)
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser.add_argument("--environments", default=os.path.join(root, ".envs"))
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    folder = os.path.join(asked.var, "serving")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    try:
        lock = _lock(folder)
        listening = _listen(asked.bind, asked.port)
    except CannotStart as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT_START
    import uvloop

    instance = os.environ.get("PORTOLAN_INSTANCE") or secrets.token_hex(8)

    async def serve() -> None:
        await Server(asked.var, asked.environments, instance).run(listening)

    uvloop.run(serve())
    os.close(lock)
    return 0
