"""The server's own door: `var/serving/admin.sock`, for processes of the portal's user only.

`POST /flush` writes all that is captured and answers {"rows": n}; `GET /status` says what
`status.json` does.
"""

import asyncio
import http.client
import json
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.serving.connection import Answer, Request
    from runtime.serving.keeper import Keeper

ADMIN_SOCKET = "admin.sock"


class Admin:
    """The app behind the door."""

    def __init__(self, keeper: "Keeper", status: Callable[[], dict[str, Any]]) -> None:
        self._keeper, self._status = keeper, status

    def admit(self, request: "Request") -> int:
        request.request_id = "-"
        return 1024

    def answer(self, request: "Request") -> "Answer":
        asked = (request.method, request.url)
        if asked == (b"GET", b"/status"):
            return _say(request, 200, self._status())
        if asked != (b"POST", b"/flush") or request.problem:
            return _say(request, 404, {"detail": "POST /flush or GET /status."})
        loop = asyncio.get_running_loop()

        async def flush() -> bytes:
            return _say(
                request, 200, {"rows": await loop.run_in_executor(None, self._keeper.flush)}
            )

        return loop.create_task(flush())


def _say(request: "Request", status: int, body: dict[str, Any]) -> bytes:
    from runtime.serving.router import response

    return response(status, json.dumps(body).encode(), request)


def bind_unix(folder: str, name: str) -> socket.socket:
    """Listen on a socket in a folder, however long its path: a socket's own may have 107 bytes."""
    path = os.path.join(folder, name)
    if os.path.lexists(path):
        os.unlink(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        listening.bind(f"/proc/self/fd/{descriptor}/{name}")
    finally:
        os.close(descriptor)
    os.chmod(path, 0o600)
    listening.listen(8)
    listening.setblocking(False)
    return listening


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, folder: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._folder = folder

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        descriptor = os.open(self._folder, os.O_PATH | os.O_DIRECTORY)
        try:
            self.sock.connect(f"/proc/self/fd/{descriptor}/{ADMIN_SOCKET}")
        finally:
            os.close(descriptor)


def ask_server(var: str, method: str, path: str, *, seconds: float = 30.0) -> dict[str, Any]:
    """Ask the scoring server on this folder. Raise OSError when none answers."""
    connection = _UnixConnection(os.path.join(var, "serving"), seconds)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        said: dict[str, Any] = json.loads(answer.read())
        return said
    finally:
        connection.close()


def flush(var: str) -> int:
    """Have all captured rows written to their files; returns how many. Raise OSError."""
    return int(ask_server(var, "POST", "/flush")["rows"])
