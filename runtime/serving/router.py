"""From a request's head to its endpoint, and from its body to an answer."""

import asyncio
import itertools
import logging
import os
import random
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from runtime.encoding import Matrix, RowError
from runtime.serving.connection import Answer, Request
from runtime.serving.counters import prometheus
from runtime.serving.endpoints import Endpoint, Release, wrong_row
from runtime.serving.formats import INFER, INVOCATIONS, SCORE, Format, Rows, describe
from runtime.serving.packages import Raw
from runtime.serving.problems import TITLES, Problem, busy

log = logging.getLogger("portolan.serving")
WELL_FORMED = re.compile(rb"[A-Za-z0-9._-]{8,64}")
OK = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    b"X-Request-Id: %b\r\nX-Portolan-Release: %b\r\n\r\n%b"
)
SMALL_BODY = 65536
MODEL_FAILED = "The model failed on this request. The scoring server's log says how."


class Place(NamedTuple):
    """Where an address leads: POST with `format` scores; else GET answers with `page` as JSON, or
    with `text`. What `is_open` needs no key."""

    endpoint: Endpoint | None = None
    format: Format | None = None
    page: Callable[[], dict[str, Any]] | None = None
    text: Callable[[], str] | None = None
    is_open: bool = False


class Table(NamedTuple):
    """All that a snapshot says, made ready. Replaced whole, never changed."""

    number: int
    endpoints: Mapping[str, Endpoint]
    releases: Mapping[str, Release]
    places: Mapping[bytes, Place]
    digests: Mapping[str, str]


def make_table(
    number: int, endpoints: Iterable[Endpoint], releases: Mapping[str, Release]
) -> Table:
    places: dict[bytes, Place] = {}
    found = {each.uuid: each for each in endpoints}
    for each in found.values():
        places.update(_places(each))
    digests = {digest: each.uuid for each in found.values() for digest in each.keys}
    return Table(number, found, releases, places, digests)


def _places(endpoint: Endpoint) -> dict[bytes, Place]:
    def is_ready() -> dict[str, Any]:
        if not endpoint.releases:
            raise busy(503, "No release of this endpoint is ready.")
        return {"ready": True}

    def metadata() -> dict[str, Any]:
        return describe(endpoint)

    model = f"v2/models/{endpoint.path.rpartition('/')[2]}"
    found = {
        "score": Place(endpoint, SCORE),
        "invocations": Place(endpoint, INVOCATIONS),
        f"{model}/infer": Place(endpoint, INFER),
        model: Place(endpoint, page=metadata),
        f"{model}/ready": Place(endpoint, page=is_ready, is_open=True),
        "v2": Place(endpoint, page=lambda: SERVER, is_open=True),
        "v2/health/live": Place(endpoint, page=lambda: {"live": True}, is_open=True),
        "v2/health/ready": Place(endpoint, page=is_ready, is_open=True),
    }
    return {f"/{endpoint.path}/{name}".encode(): place for name, place in found.items()}


SERVER = {"name": "portolan", "version": "2", "extensions": []}


def response(
    status: int,
    body: bytes,
    request: Request,
    *,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json",
) -> bytes:
    """Any answer but the one that `OK` is short for."""
    lines = [
        f"HTTP/1.1 {status} {TITLES.get(status, 'Error')}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        f"X-Request-Id: {request.request_id}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    if not request.is_kept or request.is_last:
        lines.append("Connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
    return head if request.method == b"HEAD" else head + body


class Router:
    """The app that connections serve. `table` is swapped by the server."""

    def __init__(self, instance: str) -> None:
        self.instance = instance
        self.table = Table(0, {}, {}, {}, {})
        self.refused = 0
        self._prefix = os.urandom(8).hex()
        self._numbers = itertools.count(1)
        self._own = {
            b"/healthz": Place(page=lambda: {"status": "ok", "instance": instance}, is_open=True),
            b"/readyz": Place(page=self._ready, is_open=True),
            b"/metrics": Place(text=self._metrics, is_open=True),
        }

    def admit(self, request: Request) -> int:
        given = request.headers.get(b"x-request-id")
        if given is not None and WELL_FORMED.fullmatch(given):
            request.request_id = given.decode()
        else:
            request.request_id = f"{self._prefix}{next(self._numbers):012x}"
        table = self.table
        place = table.places.get(request.url)
        if place is None:
            path = request.url.partition(b"?")[0].rstrip(b"/") or b"/"
            place = table.places.get(path) or self._own.get(path)
            if place is None:
                text = "There is no such address. An endpoint's is /<project>/<endpoint>/score."
                raise Problem(404, text)
        request.place = place
        allowed = (b"POST",) if place.format else (b"GET", b"HEAD")
        if request.method not in allowed:
            names = b", ".join(allowed).decode()
            raise Problem(405, f"Send {names} to this address.", headers={"Allow": names})
        endpoint = place.endpoint
        if endpoint is None or place.is_open:
            return SMALL_BODY
        endpoint.admit(request.headers.get(b"authorization", b""), table.digests)
        if place.format:
            _require_json(request.headers)
        return endpoint.limits.body_bytes

    def answer(self, request: Request) -> Answer:
        try:
            if request.problem:
                raise request.problem
            place: Place = request.place
            if place.format and place.endpoint:
                return self._score(request, place.endpoint, place.format)
            return self._page(request, place)
        except Problem as problem:
            self.refused += 1
            return self._problem(request, problem)
        except Exception:
            # The one place where any error ends: a bug must cost one request, not the server.
            log.exception("bug while answering %s", request.request_id)
            text = "Something broke on our side, and it has been logged. Tell a site admin the id."
            return self._problem(request, Problem(500, text))

    def _problem(self, request: Request, problem: Problem) -> bytes:
        if not request.request_id:
            request.request_id = f"{self._prefix}{next(self._numbers):012x}"
        body, kind = problem.body(request.request_id), "application/problem+json"
        return response(problem.status, body, request, headers=problem.headers, content_type=kind)

    def _page(self, request: Request, place: Place) -> bytes:
        if place.text:
            text = place.text().encode()
            return response(200, text, request, content_type="text/plain; version=0.0.4")
        page = place.page() if place.page else {}
        status = 503 if page.get("status") == "unavailable" else 200
        return response(status, orjson.dumps(page), request)

    def _ready(self) -> dict[str, Any]:
        """503 while a release that should have traffic cannot answer."""
        table = self.table
        specs = [each for point in table.endpoints.values() for each in point.spec.releases]
        wanted = [each for each in specs if each.weight]
        states = {uuid: each.state()["state"] for uuid, each in table.releases.items()}
        is_ok = all(states.get(each.uuid) == "ready" for each in wanted)
        return {
            "status": "ok" if is_ok else "unavailable",
            "instance": self.instance,
            "applied": table.number,
            "releases": states,
        }

    def _metrics(self) -> str:
        told = [
            (point.path, each.slug, each.counters, each.dropped, len(each.ring or ()))
            for point in self.table.endpoints.values()
            for each in point.releases.values()
        ]
        return prometheus(told, self.refused)

    def _score(self, request: Request, endpoint: Endpoint, form: Format) -> Answer:
        asked, rows = _read(request, endpoint, form)
        headers = request.headers
        release = endpoint.choose(
            headers.get(b"x-portolan-release", b""), headers.get(b"x-portolan-sticky", b""), rows
        )
        try:
            if release.native:
                matrix = _encode(release, rows)
                return self._ask(request, endpoint, form, release, asked, rows, matrix)
            raw = _run(release, rows, request.request_id)
        except Problem as problem:
            release.counters.refuse(problem.status)
            return self._problem(request, problem)
        return self._finish(request, form, release, asked, rows, raw)

    def _finish(
        self, request: Request, form: Format, release: Release, asked: Any, rows: Rows, raw: Raw
    ) -> bytes:
        scored = release.reader.read(raw)
        request_id = request.request_id
        body = orjson.dumps(form.write(asked, request_id, release, scored))
        latency_us = int((time.perf_counter() - request.began) * 1e6)
        release.counters.count(len(rows), latency_us)
        ring, sample = release.ring, release.sample
        if ring is not None and (sample >= 1 or random.random() < sample):  # noqa: S311
            ring.keep(request_id, rows, scored.predictions, scored.labels, latency_us)
        if not request.is_kept:
            headers = {"X-Portolan-Release": release.slug}
            return response(200, body, request, headers=headers)
        answer: bytes = OK % (len(body), request_id.encode(), release.slug_bytes, body)
        return answer

    def _ask(
        self,
        request: Request,
        endpoint: Endpoint,
        form: Format,
        release: Release,
        asked: Any,
        rows: Rows,
        matrix: Matrix,
    ) -> "asyncio.Future[bytes]":
        """Hand the matrix to the release's child; the answer comes later."""
        native, limits = release.native, endpoint.limits
        assert native  # noqa: S101  (it has no `run`)
        if native.waiting >= limits.queue:
            raise busy(429, f"{limits.queue} requests wait for this release. Try again shortly.")
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def done(future: "asyncio.Future[Raw]") -> None:
            error = future.exception()
            if error is None:
                result = self._finish(request, form, release, asked, rows, future.result())
            else:
                if not isinstance(error, Problem):
                    log.error(
                        "the model of %s failed on %s: %s", release.slug, request.request_id, error
                    )
                    error = Problem(500, MODEL_FAILED)
                release.counters.refuse(error.status)
                result = self._problem(request, error)
            if not answer.done():
                answer.set_result(result)

        native.ask(matrix, seconds=limits.deadline_seconds).add_done_callback(done)
        return answer


def _require_json(headers: Mapping[bytes, bytes]) -> None:
    kind = headers.get(b"content-type", b"application/json")
    if kind != b"application/json" and kind.partition(b";")[0].strip().lower() != (
        b"application/json"
    ):
        raise Problem(415, "Send JSON, and say so: “Content-Type: application/json”.")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Problem(415, "Send the body as it is: no Content-Encoding is taken here.")


def _read(request: Request, endpoint: Endpoint, form: Format) -> tuple[Any, Rows]:
    try:
        asked = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"The body is not JSON: {error}.") from None
    rows = form.read(asked, endpoint)
    if not rows:
        raise Problem(400, "There are no rows in this request. Send at least one.")
    if len(rows) > endpoint.limits.rows:
        raise Problem(
            413, f"{len(rows):,} rows are more than the {endpoint.limits.rows:,} taken at once."
        )
    return asked, rows


def _run(release: Release, rows: Rows, request_id: str) -> Raw:
    """The model's answer. One row, which is what most requests are, takes a shorter way."""
    packed = release.pack_row(rows[0]) if len(rows) == 1 else None
    if packed:
        release.check_keys(rows)
    else:
        matrix = _encode(release, rows)
    try:
        return release.run_row(packed) if packed else release.run(matrix)
    except Exception:
        # ONNX Runtime's exceptions share no base class but this.
        log.exception("the model of %s failed on %s", release.slug, request_id)
        raise Problem(500, MODEL_FAILED) from None


def _encode(release: Release, rows: Rows) -> Matrix:
    try:
        matrix = release.encoder.encode_rows(rows)
    except RowError as error:
        raise wrong_row(error.row, error.field, error.text) from None
    release.check_keys(rows)
    return matrix
