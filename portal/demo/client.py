"""A small client of the portal's REST API: JSON in, JSON out, problems as exceptions."""

import http.client
import json
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any

# Longer than the portal believes in a request whose process died.
RETRY_SECONDS = 90.0
UNDER_WAY = "idempotency-under-way"
JOB_SECONDS = 600.0
LOOK_SECONDS = 0.15
FINAL = frozenset({"succeeded", "failed", "cancelled"})


class Refused(Exception):
    """The portal said no. The message is the problem's own, with its fields."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        errors = problem.get("errors") or {}
        detail = problem.get("detail") or problem.get("title") or f"HTTP {status}"
        super().__init__(
            f"{detail} {json.dumps(errors, ensure_ascii=False) if errors else ''}".strip()
        )
        self.status, self.problem = status, dict(problem)


class Failed(Exception):
    """A job ended otherwise than well."""


class Client:
    """Talks to one portal with one token, over one kept connection. Not for several threads.

    A portal that is restarting is waited for, up to a minute; a POST is sent again only because
    the walk gives each an idempotency key.
    """

    def __init__(self, base: str, token: str) -> None:
        parts = urllib.parse.urlsplit(base)
        self.base = base.rstrip("/")
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._token = token
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, path: str, **query: Any) -> Any:
        return self._call("GET", path + ("?" + urllib.parse.urlencode(query) if query else ""))

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, key: str = "") -> Any:
        return self._call("POST", path, body or {}, key=key)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._call("PATCH", path, body)

    def rows(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Every row of a list, page by page."""
        page = self.get(path, size=200, **query)
        while True:
            yield from page["results"]
            if not page.get("next"):
                return
            following = urllib.parse.urlsplit(page["next"])
            page = self._call("GET", f"{following.path}?{following.query}", is_whole_path=True)

    def first(
        self, path: str, matches: Callable[[dict[str, Any]], bool], **query: Any
    ) -> dict[str, Any] | None:
        """The first row of a list that matches."""
        return next((row for row in self.rows(path, **query) if matches(row)), None)

    def wait(self, path: str, *, says: Callable[[str], None] | None = None) -> dict[str, Any]:
        """Look at a thing with a job until the job has ended. Raise Failed unless it went well."""
        ends = time.monotonic() + JOB_SECONDS
        while time.monotonic() < ends:
            thing: dict[str, Any] = self.get(path)
            if thing["state"] == "succeeded":
                return thing
            if thing["state"] in FINAL:
                raise Failed(thing.get("message") or thing["state"])
            if says:
                says(thing.get("message") or "")
            time.sleep(LOOK_SECONDS)
        raise Failed(f"Not done within {JOB_SECONDS:.0f} seconds: {self.base}/api/v1{path}")

    def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str = "",
        is_whole_path: bool = False,
    ) -> Any:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key:
            headers["Idempotency-Key"] = key
        sent = json.dumps(body).encode() if body is not None else None
        whole = path if is_whole_path else f"/api/v1{path}"
        ends = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                status, answer, again = self._once(method, whole, sent, headers)
            except (OSError, http.client.HTTPException):
                self.close()
                status, answer, again = 503, {"detail": "The portal does not answer."}, 0.3
            is_later = status in (429, 502, 503) or (status == 409 and _is_under_way(answer))
            if not is_later or time.monotonic() > ends:
                break
            time.sleep(again)
        if status >= 400:
            raise Refused(status, answer if isinstance(answer, dict) else {})
        return answer

    def _once(
        self, method: str, path: str, sent: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Any, float]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._host, self._port, timeout=30)
        self._connection.request(method, path, sent, dict(headers))
        with self._connection.getresponse() as response:
            text = response.read()
            again = float(response.headers.get("Retry-After") or 0.5)
        try:
            return response.status, json.loads(text) if text else None, again
        except ValueError:
            return response.status, {"detail": text[:200].decode("utf-8", "replace")}, again


def _is_under_way(answer: Any) -> bool:
    """Whether a refusal only says that the same request is being done, or died while it was."""
    return isinstance(answer, dict) and UNDER_WAY in str(answer.get("type"))


def ready_instance(base: str) -> str:
    """The instance of the portal that is ready at this address, "" when none is."""
    parts = urllib.parse.urlsplit(base)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=5)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        said = json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
    return str(said.get("instance", "")) if answer.status == 200 else ""
