"""The OpenAPI document: what drf-spectacular cannot know of our frame by itself."""

from typing import Any

WRITES = ("POST", "PUT", "PATCH", "DELETE")
PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457 problem details.",
    "required": ["type", "title", "status", "detail", "instance", "request_id", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and what to do next."},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message", "code"],
                "properties": {name: {"type": "string"} for name in ("field", "message", "code")},
            },
        },
    },
}
ANSWERS = {
    "400": "The request is wrong; `errors` says where.",
    "401": "Not signed in, or the token is not valid.",
    "403": "The role or the token's scopes do not allow it.",
    "404": "Not there, or not yours to see.",
    "405": "This address does not take this method.",
    "409": "The thing's present state refuses it.",
    "413": "The body is too large.",
    "415": "Send JSON, and say so in Content-Type.",
    "422": "The Idempotency-Key was used for another body.",
    "429": "Too many requests; Retry-After says when to come back.",
}
FOR_WRITES = frozenset({"409", "413", "415", "422"})
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and body again does nothing twice and is answered alike.",
    "schema": {"type": "string", "maxLength": 255},
}


def add_problems(
    result: dict[str, Any], generator: Any, request: Any, public: bool
) -> dict[str, Any]:
    """Say of every operation which problems it may answer with, and of every POST its header."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in result["paths"].values():
        for method, operation in path.items():
            is_write = method.upper() in WRITES
            for code, text in ANSWERS.items():
                if is_write or code not in FOR_WRITES:
                    operation["responses"].setdefault(
                        code, {"description": text, "content": content}
                    )
            if method == "post":
                operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
    return result
