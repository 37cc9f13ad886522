"""What a request is refused with: RFC 9457 problems, as the portal's REST says them."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson

TITLES = {status.value: status.phrase for status in HTTPStatus}


class Problem(Exception):
    """A request that is refused. `errors` name row and field; `headers` are added to the answer;
    `is_last` closes the connection, as what follows on it cannot be told apart any more."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: list[dict[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
        is_last: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.is_last = status, detail, is_last
        self.errors, self.headers = errors or [], headers or {}

    def body(self, request_id: str) -> bytes:
        title = TITLES.get(self.status, "Error")
        body: bytes = orjson.dumps(
            {
                "type": f"urn:portolan:problem:{title.lower().replace(' ', '-')}",
                "title": title,
                "status": self.status,
                "detail": self.detail,
                "request_id": request_id,
                "errors": self.errors,
            }
        )
        return body


def busy(status: int, detail: str) -> Problem:
    """Too much at once (429) or not able just now (503): worth another try in a second."""
    return Problem(status, detail, headers={"Retry-After": "1"})
