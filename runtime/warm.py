"""A warm process, kept ready and confined, for questions that want an answer at once.

Each answers one question and is gone: nothing of one person's question is there for the next's.
Runs inside the worker; the processes end by themselves when the worker's end of the pipe closes.
"""

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import Any

ISOLATED = (sys.executable, "-I")
CHILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "warm_child.py")
MAX_ANSWER = 8 * 1024 * 1024


class NoAnswerError(Exception):
    """The process did not answer in time, or not with an answer. The message is plain."""


class WarmPool:
    """Keeps `size` confined processes ready. Thread-safe: each question takes a process of its own.

    `command` is what a process runs; its own folder is added as the last argument. One that
    `is_forking` answers each question in a fork, so it is kept for the next after an answer.
    """

    def __init__(
        self,
        folder: str,
        command: Sequence[str] = (*ISOLATED, "-S", CHILD),
        *,
        size: int = 1,
        is_forking: bool = False,
    ) -> None:
        self._folder, self._command, self._size = folder, tuple(command), size
        self._is_forking = is_forking
        self._lock = threading.Lock()
        self._ready: list[_Child] = []

    def warm_up(self) -> None:
        """Start the processes that the next questions will find ready."""
        with self._lock:
            dead = [child for child in self._ready if not child.is_alive()]
            self._ready = [child for child in self._ready if child not in dead]
            while len(self._ready) < self._size:
                self._ready.append(_Child(self._folder, self._command))
        for child in dead:
            child.end()

    def ask(self, question: dict[str, Any], *, seconds: float) -> dict[str, Any]:
        """Put one question; raise NoAnswerError when no answer comes within `seconds`."""
        child = self._take()
        is_kept = False
        try:
            answer = child.ask(question, seconds)
            is_kept = self._is_forking and self._put_back(child)
            return answer
        finally:
            if not is_kept:
                child.end()
            self.warm_up()

    def _put_back(self, child: "_Child") -> bool:
        with self._lock:
            has_room = len(self._ready) < self._size
            if has_room:
                self._ready.append(child)
            return has_room

    def _take(self) -> "_Child":
        while True:
            with self._lock:
                child = self._ready.pop(0) if self._ready else None
            if child is None:
                return _Child(self._folder, self._command)
            if child.is_alive():
                return child
            child.end()

    def close(self) -> None:
        with self._lock:
            children, self._ready = self._ready, []
        for child in children:
            child.end()


class _Child:
    def __init__(self, folder: str, command: Sequence[str]) -> None:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.folder = tempfile.mkdtemp(prefix="warm-", dir=folder)
        environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": self.folder}
        self.process = subprocess.Popen(
            [*command, self.folder],
            env={**environment, "TMPDIR": self.folder},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            start_new_session=True,
        )

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def ask(self, question: dict[str, Any], seconds: float) -> dict[str, Any]:
        assert self.process.stdin  # noqa: S101  (made with a pipe, just above)
        try:
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
            self.process.stdin.flush()
            answer = json.loads(self._read_line(time.monotonic() + seconds))
        except (BrokenPipeError, ValueError):
            raise NoAnswerError("The process that was asked ended without an answer.") from None
        if not isinstance(answer, dict):
            raise NoAnswerError("The process that was asked did not answer with an object.")
        return answer

    def _read_line(self, ends: float) -> bytes:
        assert self.process.stdout  # noqa: S101  (made with a pipe)
        read = bytearray()
        while not read.endswith(b"\n"):
            left = ends - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise NoAnswerError("The process that was asked did not answer in time.")
            block = os.read(self.process.stdout.fileno(), 65536)
            read += block
            if not block or len(read) > MAX_ANSWER:
                raise NoAnswerError("The process that was asked did not give a whole answer.")
        return bytes(read)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()
        shutil.rmtree(self.folder, ignore_errors=True)
