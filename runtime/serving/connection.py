"""HTTP/1.1 on one connection: parsed by httptools, answered in order, bounded in every direction.

A body over its limit is refused before it is read, and what the client still sends is thrown away
for a moment, so that it gets to read the answer.
"""

import asyncio
import logging
import time
from collections import deque
from typing import Any, Protocol

import httptools

from runtime.serving.problems import Problem, busy

log = logging.getLogger("portolan.serving")
WANTED = frozenset(
    {
        b"authorization", b"content-encoding", b"content-length", b"content-type", b"expect",
        b"x-portolan-release", b"x-portolan-sticky", b"x-request-id",
    }
)  # fmt: skip
MAX_HEAD_BYTES = 32 * 1024
MAX_PIPELINED = 256
LINGER_SECONDS = 2.0
LINGER_BYTES = 64 * 1024 * 1024
IDLE_SECONDS = 75.0
SLOW_SECONDS = 30.0
Answer = bytes | asyncio.Future[bytes]


class Request:
    """What came in. `place` is where the address leads, as the app found it at the headers."""

    __slots__ = (
        "began", "body", "headers", "is_kept", "is_last", "method", "place", "problem",
        "request_id", "url",
    )  # fmt: skip

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.url = self.method = self.body = b""
        self.headers: dict[bytes, bytes] = {}
        self.place: Any = None
        self.problem: Problem | None = None
        self.request_id = ""
        self.is_kept, self.is_last = True, False


class App(Protocol):
    """What a connection serves."""

    def admit(self, request: Request) -> int:
        """Look at the head; returns how large a body may be. Raise Problem."""
        ...

    def answer(self, request: Request) -> Answer:
        """The whole response, now or later. Never raises."""
        ...


class Connection(asyncio.Protocol):
    """`seen` is when it last had something to say, `is_amid` whether a request is incomplete."""

    def __init__(self, app: App, others: "set[Connection]", limit: int) -> None:
        self._app, self._others, self._limit = app, others, limit
        self._parser: Any = httptools.HttpRequestParser(self)
        self._queue: deque[Request] = deque()
        self._transport: Any = None
        self._request = Request()
        self._parts: list[bytes] = []
        self._size = self._head_bytes = self._thrown_away = 0
        self._room = 0
        self._in_head = self._is_waiting = self._is_full = False
        self.is_amid = self.is_ending = False
        self.seen = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._others.add(self)
        if len(self._others) > self._limit:
            self._refuse(busy(503, "Too many connections are open. Try again in a moment."))

    def connection_lost(self, error: Exception | None) -> None:
        self._others.discard(self)
        self._queue.clear()
        self._parser = None

    def data_received(self, data: bytes) -> None:
        self.seen = time.monotonic()
        if self._parser is None:
            self._throw_away(len(data))
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing is upgraded to here: the request is answered, and what follows is HTTP/1.1.
            self._parser = httptools.HttpRequestParser(self)
        except httptools.HttpParserCallbackError:
            log.exception("bug while reading a request")
            self._refuse(Problem(500, "The request could not be read, by a fault of ours."))
        except httptools.HttpParserError as error:
            self._refuse(Problem(400, f"This is not well-formed HTTP: {error}."))
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(Problem(431, "The headers are larger than 32 KB. Send fewer."))

    # httptools calls these.

    def on_message_begin(self) -> None:
        self._request, self._parts = Request(), []
        self._size = self._head_bytes = 0
        self._in_head = self.is_amid = True

    def on_url(self, url: bytes) -> None:
        self._request.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in WANTED:
            self._request.headers[name] = value

    def on_headers_complete(self) -> None:
        self._in_head = False
        request, parser = self._request, self._parser
        if parser is None:
            return
        request.method = parser.get_method()
        request.is_kept = parser.should_keep_alive()
        try:
            self._room = self._app.admit(request)
        except Problem as problem:
            request.problem = problem
        headers = request.headers
        if int(headers.get(b"content-length", 0)) > self._room:
            self._refuse(request.problem or _too_large(self._room))
        elif headers.get(b"expect", b"").lower() == b"100-continue":
            if request.problem:
                self._refuse(request.problem)
            else:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if self._parser is None:
            return
        self._size += len(body)
        if self._size > self._room:
            self._refuse(self._request.problem or _too_large(self._room))
        elif not self._request.problem:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        self.is_amid = False
        if self._parser is None:
            return
        request, parts = self._request, self._parts
        request.body = parts[0] if len(parts) == 1 else b"".join(parts)
        if self._is_waiting:
            self._queue.append(request)
            if len(self._queue) > MAX_PIPELINED:
                self._refuse(busy(429, "Too many requests were sent ahead of their answers."))
        else:
            self._serve(request)

    # Answering.

    def _refuse(self, problem: Problem) -> None:
        """Answer the request at hand with this, and end: what follows cannot be told apart."""
        if self._parser is None:
            return
        self._parser, self._in_head, self.is_amid = None, False, False
        self._request.problem, self._request.is_last = problem, True
        if self._is_waiting:
            self._queue.append(self._request)
        else:
            self._serve(self._request)

    def _serve(self, request: Request) -> None:
        answer = self._app.answer(request)
        if isinstance(answer, bytes):
            self._write(request, answer)
            return
        self._is_waiting = True
        self._transport.pause_reading()
        answer.add_done_callback(lambda done: self._go_on(request, done))

    def _go_on(self, request: Request, done: "asyncio.Future[bytes]") -> None:
        """A later answer is there: send it, and take up what was sent behind it."""
        self._is_waiting = False
        if self._transport.is_closing():
            return
        self._write(request, done.result())
        while self._queue and not self._is_waiting and not self._transport.is_closing():
            self._serve(self._queue.popleft())
        if not self._is_waiting and not self._is_full and not self._transport.is_closing():
            self._transport.resume_reading()

    def _write(self, request: Request, answer: bytes) -> None:
        self._transport.write(answer)
        if request.is_last:
            self._linger()
        elif not request.is_kept or self.is_ending:
            self._transport.close()

    def _linger(self) -> None:
        """Say no more, and hear the client out for a moment, lest a reset take the answer away."""
        transport = self._transport
        if transport.can_write_eof():
            transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, transport.abort)

    def _throw_away(self, size: int) -> None:
        self._thrown_away += size
        if self._thrown_away > LINGER_BYTES:
            self._transport.abort()

    def pause_writing(self) -> None:
        """The client does not read its answers: take no more requests of it."""
        self._is_full = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_full = False
        if not self._is_waiting and not self._transport.is_closing():
            self._transport.resume_reading()

    # The server's own calls.

    def end(self) -> None:
        """Drain: answer what is under way, take no more."""
        self.is_ending = True
        if not self._is_waiting and not self.is_amid and self._transport:
            self._transport.close()

    def close_if_idle(self, now: float) -> None:
        limit = SLOW_SECONDS if self.is_amid else IDLE_SECONDS
        if not self._is_waiting and now - self.seen > limit:
            self._transport.abort() if self._is_full else self._transport.close()


def _too_large(limit: int) -> Problem:
    text = f"The body is larger than {limit:,} bytes, the most this endpoint takes. Send fewer rows"
    return Problem(413, f"{text} at once.")
