"""A client that knows nothing of the portal but its OpenAPI document: addresses and methods come
from it by operationId, and every answer is held against the shape it promises."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator

WAIT = 0.1
FINAL = ("succeeded", "failed", "cancelled")


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any


def send(
    method: str, url: str, body: Any = None, *, key: str, kind: str = "", **headers: str
) -> Answer:
    """One request; `body` is JSON, or the very bytes where `kind` names a content type."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named |= {"Authorization": f"Bearer {key}"}
    if data is not None:
        named["Content-Type"] = kind or "application/json"
    request = urllib.request.Request(url, data, named, method=method)  # noqa: S310  (our own)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return _read(answer)
    except urllib.error.HTTPError as error:
        with error:
            return _read(error)


def _read(answer: Any) -> Answer:
    raw = answer.read()
    is_json = "json" in answer.headers.get("Content-Type", "")
    return Answer(answer.status, dict(answer.headers), json.loads(raw) if is_json and raw else raw)


@dataclass
class Stranger:
    """`token` and `base` are all that it was given."""

    base: str
    token: str
    document: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.document = send("GET", f"{self.base}/api/v1/schema/", key=self.token).body

    def operation(self, name: str) -> tuple[str, str, dict[str, Any]]:
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                if operation["operationId"] == name:
                    return method.upper(), path, operation
        raise KeyError(name)

    def ask(
        self, name: str, body: Any = None, /, *, query: dict[str, Any] | None = None,
        kind: str = "", **path: str,
    ) -> Answer:  # fmt: skip
        """Whatever is answered, a refusal too, if the document promises it in this shape."""
        method, address, operation = self.operation(name)
        asked = urllib.parse.urlencode(query or {}, doseq=True)
        url = f"{self.base}{address.format(**path)}{'?' if asked else ''}{asked}"
        if isinstance(body, dict):
            self._hold(body, operation["requestBody"]["content"]["application/json"]["schema"])
        answer = send(method, url, body, key=self.token, kind=kind)
        promised = operation["responses"][str(answer.status)]
        while "$ref" in promised:
            promised = self._at(promised["$ref"])
        for each in promised.get("content", {}).values():
            if isinstance(answer.body, dict):
                self._hold(answer.body, each["schema"])
        return answer

    def __call__(self, name: str, body: Any = None, /, **more: Any) -> Any:
        """The answer to what must succeed."""
        answer = self.ask(name, body, **more)
        assert answer.status < 300, f"{name}: {answer.body}"
        return answer.body

    def refused(self, name: str, body: Any = None, /, **more: Any) -> list[str]:
        """The fields that a request is refused for."""
        answer = self.ask(name, body, **more)
        assert answer.status in (400, 404, 409), f"{name}: {answer}"
        return [each["field"] for each in answer.body["errors"]]

    def _at(self, reference: str) -> dict[str, Any]:
        found = self.document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        return found

    def _hold(self, body: Any, schema: dict[str, Any]) -> None:
        whole = {"components": self.document["components"], **schema}
        Draft202012Validator(whole).validate(body)

    def keeps_to(self, kind: str, definition: Any) -> Any:
        """The definition, once the JSON Schema of its kind takes it."""
        told = self("document_schemas_retrieve", name=kind)
        Draft202012Validator(told["schema"]).validate(definition)
        return definition

    def find(self, name: str, text: str) -> list[dict[str, Any]]:
        """The rows of a list that a filter lets through."""
        found: list[dict[str, Any]] = self(name, query={"filter": text})["results"]
        return found

    def wait(self, name: str, /, seconds: float = 90, **path: str) -> Any:
        """Ask again until the state is final, and have it be “succeeded”."""
        deadline = time.monotonic() + seconds
        while (told := self(name, **path))["state"] not in FINAL:
            assert time.monotonic() < deadline, told
            time.sleep(WAIT)
        assert told["state"] == "succeeded", told["message"]
        return told

    def upload(self, project: str, name: str, data: bytes) -> Any:
        mark = uuid.uuid4().hex
        head = 'Content-Disposition: form-data; name="{}"'
        parts = [
            f"--{mark}\r\n{head.format('project')}\r\n\r\n{project}\r\n".encode(),
            f'--{mark}\r\n{head.format("file")}; filename="{name}"\r\n\r\n'.encode(),
            data + f"\r\n--{mark}--\r\n".encode(),
        ]
        kind = f"multipart/form-data; boundary={mark}"
        return self("uploads_create", b"".join(parts), kind=kind)
