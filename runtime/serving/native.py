"""Native releases: a model that is a pickle runs in a confined child of the router, which speaks to
it over a socket pair. A child that dies is started again, each time a little later.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from typing import Any

import numpy as np

from runtime.confine import landlock_abi
from runtime.encoding import Matrix
from runtime.serving.frames import ERROR, HEAD, HELLO, MAX_FRAME
from runtime.serving.packages import Package, PackageError, Raw
from runtime.serving.problems import Problem, busy

CHILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "native_child.py")
# Without semaphores, which a confined process has not: one thread is all it uses.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "JOBLIB_MULTIPROCESSING": "0"}
START_SECONDS = 60.0
LONGEST_WAIT = 30.0
HEALTHY_SECONDS = 60.0
STUCK_SECONDS = 30.0


class ModelError(Exception):
    """The model itself failed on this request."""


class NativePredictor:
    """One model in one child with one model thread. Used from the event loop only.

    `ready` is set while a child answers; `message` says why it is not.
    """

    def __init__(self, package: Package, python: str, folder: str) -> None:
        self.package, self.label, self.message = package, "native", "Starting."
        self.ready, self._spoke = asyncio.Event(), asyncio.Event()
        self._python, self._folder = python, folder
        self._waiting: dict[int, asyncio.Future[Raw]] = {}
        self._last_id = 0
        self._failures = 0
        self._answered_at = time.monotonic()
        self._closed = False
        self._channel: _Channel | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._again: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Start a child; `ready` tells when it can be asked."""
        if landlock_abi() == 0:
            raise PackageError("This machine's kernel has no Landlock: native models cannot run.")
        if not os.path.exists(self._python):
            raise PackageError(
                "The training environment is not set up here. Run `make environments`."
            )
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            self._process = self._spawn(theirs)
        loop = asyncio.get_running_loop()
        _, self._channel = await loop.create_connection(lambda: _Channel(self), sock=ours)
        self._started_at = self._answered_at = time.monotonic()

    def _spawn(self, end: socket.socket) -> "subprocess.Popen[bytes]":
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        self._scratch = tempfile.mkdtemp(prefix="native-", dir=self._folder)
        one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
        return subprocess.Popen(
            [self._python, "-I", CHILD, str(end.fileno()), self.package.path, self._scratch],
            env={**ENVIRONMENT, "HOME": self._scratch, **one},
            pass_fds=[end.fileno()],
            stdin=subprocess.DEVNULL,
            cwd=self._scratch,
            start_new_session=True,
        )

    async def wait_ready(self) -> None:
        """Raise PackageError when the first child fails, or cannot be asked within a minute."""
        try:
            await asyncio.wait_for(self._spoke.wait(), START_SECONDS)
        except TimeoutError:
            raise PackageError("The model's process did not come up within a minute.") from None
        if not self.ready.is_set():
            raise PackageError(self.message)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def ask(self, matrix: Matrix, *, seconds: float) -> "asyncio.Future[Raw]":
        """The answer, later: a Raw, or a Problem or ModelError raised from it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Raw] = loop.create_future()
        if not self.ready.is_set() or self._channel is None:
            future.set_exception(
                busy(503, f"The model's process is not up: {self.message} Try again in a moment.")
            )
            return future
        if not self._waiting:
            self._answered_at = time.monotonic()
        self._last_id = number = (self._last_id + 1) % 2**32
        self._waiting[number] = future
        self._channel.send(number, matrix)
        timer = loop.call_later(seconds, self._expire, number, seconds)
        future.add_done_callback(lambda _: timer.cancel())
        return future

    def _expire(self, number: int, seconds: float) -> None:
        if future := self._waiting.pop(number, None):
            text = f"The model did not answer within {seconds:g} seconds. Send fewer rows at once."
            _fail(future, busy(503, text))
        if time.monotonic() - self._answered_at > max(STUCK_SECONDS, 2 * seconds):
            self.message = "It hung, and is started again."
            self._kill()

    def take(self, number: int, rows: int, columns: int, payload: bytes) -> None:
        """A frame of the child's."""
        if columns == HELLO:
            self._greet(json.loads(payload))
            return
        self._answered_at = time.monotonic()
        future = self._waiting.pop(number, None)
        if future is None or future.done():
            return
        if columns == ERROR:
            future.set_exception(ModelError(payload.decode("utf-8", "replace")))
        else:
            future.set_result(np.frombuffer(payload, np.float64).reshape(rows, columns))

    def _greet(self, said: dict[str, Any]) -> None:
        self._spoke.set()
        if error := said.get("error"):
            self.message = str(error)
            return
        self.label, self.message = str(said.get("engine", "native")), ""
        self.ready.set()

    def lost(self) -> None:
        """The child has ended, or closed its end: whoever waits is told, and another is started."""
        self.ready.clear()
        self._channel = None
        self._spoke.set()
        self.message = self.message or "The model's process ended, and is started again."
        for future in self._waiting.values():
            _fail(future, busy(503, "The model's process ended while it answered. Try again."))
        self._waiting.clear()
        self._kill()
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        if time.monotonic() - self._started_at > HEALTHY_SECONDS:
            self._failures = 0
        wait = min(2.0**self._failures - 1, LONGEST_WAIT)
        self._failures += 1
        self._again = loop.call_later(wait, lambda: loop.create_task(self._restart()))

    async def _restart(self) -> None:
        try:
            await self.start()
        except (OSError, PackageError) as error:
            self.message = str(error)

    def _kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
            shutil.rmtree(self._scratch, ignore_errors=True)

    def close(self) -> None:
        """For good: the release is gone, or the router ends."""
        self._closed = True
        if self._again:
            self._again.cancel()
        if self._channel:
            self._channel.close()
        self._kill()


def _fail(future: "asyncio.Future[Raw]", error: Problem) -> None:
    if not future.done():
        future.set_exception(error)


class _Channel(asyncio.Protocol):
    """Cuts what the child sends into frames. A child is not trusted: nonsense ends it."""

    def __init__(self, owner: NativePredictor) -> None:
        self._owner, self._read = owner, bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def send(self, number: int, matrix: Matrix) -> None:
        assert self._transport  # noqa: S101  (made by now)
        rows, columns = matrix.shape
        payload = matrix.tobytes()
        self._transport.write(HEAD.pack(number, rows, columns, len(payload)) + payload)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while len(self._read) >= HEAD.size:
            number, rows, columns, size = HEAD.unpack_from(self._read)
            if size > MAX_FRAME:
                self.close()
                return
            if len(self._read) < HEAD.size + size:
                return
            payload = bytes(self._read[HEAD.size : HEAD.size + size])
            del self._read[: HEAD.size + size]
            try:
                self._owner.take(number, rows, columns, payload)
            except ValueError:
                self.close()
                return

    def connection_lost(self, error: Exception | None) -> None:
        self._owner.lost()

    def close(self) -> None:
        if self._transport:
            self._transport.close()
