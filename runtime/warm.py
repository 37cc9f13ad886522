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
from typing import Any

CHILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "warm_child.py")
MAX_ANSWER = 8 * 1024 * 1024


class NoAnswerError(Exception):
    """The process did not answer in time, or not with an answer. The message is plain."""


class WarmPool:
    """Keeps one confined process ready. Thread-safe: each question takes a process of its own."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._ready: _Child | None = None

    def warm_up(self) -> None:
        """Start the process that the next question will find ready."""
        with self._lock:
            if self._ready is None or not self._ready.is_alive():
                self._ready = _Child(self._folder)

    def ask(self, question: dict[str, Any], *, seconds: float) -> dict[str, Any]:
        """Put one question; raise NoAnswerError when no answer comes within `seconds`."""
        with self._lock:
            child, self._ready = self._ready, None
        if child is None or not child.is_alive():
            child = _Child(self._folder)
        try:
            return child.ask(question, seconds)
        finally:
            child.end()
            self.warm_up()

    def close(self) -> None:
        with self._lock:
            child, self._ready = self._ready, None
        if child:
            child.end()


class _Child:
    def __init__(self, folder: str) -> None:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.folder = tempfile.mkdtemp(prefix="warm-", dir=folder)
        environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": self.folder}
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", CHILD, self.folder],
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
