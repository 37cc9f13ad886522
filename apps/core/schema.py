"""The OpenAPI document: what drf-spectacular cannot know of our frame by itself."""

import functools
from collections.abc import Iterator
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.plumbing import get_lib_doc_excludes

from apps.core.idempotency import MAX_KEY
from apps.core.viewsets import HouseSerializer, HouseViewSet

WRITES = ("post", "put", "patch", "delete")
TEXT = {"type": "string"}
PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457 problem details.",
    "required": ["type", "title", "status", "detail", "instance", "request_id", "errors"],
    "properties": {
        "type": {**TEXT, "description": "A name for this sort of problem, as a URN."},
        "title": {**TEXT, "description": "The status in words."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {**TEXT, "description": "What is wrong and what to do next."},
        "instance": {**TEXT, "description": "The address that was asked."},
        "request_id": {**TEXT, "description": "Finds the request in the portal's log."},
        "errors": {
            "type": "array",
            "description": "What is wrong, field by field.",
            "items": {
                "type": "object",
                "required": ["field", "message", "code"],
                "properties": dict.fromkeys(("field", "message", "code"), TEXT),
            },
        },
    },
    "example": {
        "type": "urn:portolan:problem:validation",
        "title": "Bad Request",
        "status": 400,
        "detail": "name: This field is required.",
        "instance": "/api/v1/projects/",
        "request_id": "0c90ceb325eb44e69c91faa4d47d2511",
        "errors": [{"field": "name", "message": "This field is required.", "code": "required"}],
    },
}
RETRY_AFTER = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
# Status: the response's name in the document, what it means, and the headers it has.
PROBLEMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "400": ("Invalid", "The request is wrong; `errors` says where.", {}),
    "401": (
        "NotSignedIn",
        "Not signed in, or the token is not valid.",
        {"WWW-Authenticate": {"schema": TEXT}},
    ),
    "403": ("NotAllowed", "The role or the token's scopes do not allow it.", {}),
    "404": ("NotFound", "Not there, or not yours to see.", {}),
    "405": ("NoSuchMethod", "This address does not take this method.", {}),
    "406": ("NotAcceptable", "Answers are JSON; `Accept` asks for something else.", {}),
    "409": ("Conflict", "The thing's present state refuses it.", {}),
    "413": ("TooLarge", "The body is larger than 1 MB.", {}),
    "415": ("NotJson", "Send JSON, and say so in `Content-Type`.", {}),
    "422": ("KeyReused", "The `Idempotency-Key` was used for another request.", {}),
    "429": ("TooMany", "Too many requests; come back later.", {"Retry-After": RETRY_AFTER}),
}
FOR_WRITES = frozenset({"409", "413", "415"})
FOR_POST = frozenset({"422"})
DONE = {"200": "Done.", "201": "Made.", "202": "Taken on; it is being done.", "204": "Gone."}
REQUEST_ID = {"description": "The id of this request.", "schema": TEXT}
REPLAYED = {
    "description": "“true” when this is the answer kept for an earlier request.",
    "schema": TEXT,
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and body again does nothing twice and is answered alike.",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_KEY,
        "pattern": "^[!-~]([ -~]*[!-~])?$",
    },
}


def add_frame(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Say what every operation shares: problems, headers, bodies that take no unknown field."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    components["responses"] = {
        name: _problem(text, headers) for name, text, headers in PROBLEMS.values()
    }
    for method, operation in _operations(result):
        _describe_answers(method, operation)
        if method == "post":
            operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
    _close_bodies(result)
    return result


def _operations(result: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in result["paths"].values():
        yield from path.items()


def _problem(text: str, headers: dict[str, Any]) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        "description": text,
        "headers": {"X-Request-Id": REQUEST_ID, **headers},
        "content": content,
    }


def _describe_answers(method: str, operation: dict[str, Any]) -> None:
    answers: dict[str, Any] = operation["responses"]
    for code, answer in answers.items():
        answer["description"] = answer.get("description") or DONE.get(code, "")
        answer["headers"] = {"X-Request-Id": REQUEST_ID}
        if method == "post":
            answer["headers"]["Idempotency-Replayed"] = REPLAYED
    for code, (name, *_) in PROBLEMS.items():
        is_odd = (code in FOR_WRITES and method not in WRITES) or (
            code in FOR_POST and method != "post"
        )
        if not is_odd:
            answers.setdefault(code, {"$ref": f"#/components/responses/{name}"})


def _close_bodies(result: dict[str, Any]) -> None:
    """Unknown fields are refused, so the document says so."""
    schemas = result["components"]["schemas"]
    todo = [
        content["schema"]
        for _, operation in _operations(result)
        for content in operation.get("requestBody", {}).get("content", {}).values()
    ]
    seen: set[str] = set()
    while todo:
        schema = todo.pop()
        name = schema.get("$ref", "").rpartition("/")[2]
        if name and name not in seen:
            seen.add(name)
            todo.append(schemas[name])
        elif schema.get("properties") is not None:
            schema["additionalProperties"] = False
            todo += [each for each in schema["properties"].values() if isinstance(each, dict)]
        todo += [schema["items"]] if "items" in schema else schema.get("allOf", [])


def doc_excludes() -> list[type]:
    """Bases whose docstrings are for us, not for readers of the document."""
    theirs: list[type] = get_lib_doc_excludes()  # type: ignore[no-untyped-call]
    return [*theirs, HouseSerializer, HouseViewSet]


@functools.cache
def document() -> dict[str, Any]:
    """The whole document, generated once per process: it depends on the code alone."""
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return found
