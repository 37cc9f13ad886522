"""How to call one endpoint, as an OpenAPI document of its own: its address, its rows, its answers.

What the scoring server takes is defined in runtime/serving/formats.py and told in docs/serving.md.
"""

from collections.abc import Mapping
from typing import Any

from apps.deployments.models import Endpoint, Release
from apps.deployments.routing import endpoint_url

TYPES = {"number": "number", "integer": "integer", "boolean": "boolean", "category": "string"}
TEXT: dict[str, Any] = {"type": "string"}
NUMBERS: dict[str, Any] = {"type": "array", "items": {"type": "number"}}
TEXTS: dict[str, Any] = {"type": "array", "items": TEXT}
ROWS: dict[str, Any] = {"type": "array", "items": {"$ref": "#/components/schemas/Row"}}
ABOUT = (
    "Send a key of the endpoint as “Authorization: Bearer ptk_…”. A row has every input of the "
    "model, null where a value is unknown, and may have the key columns. Errors are RFC 9457 "
    "problems, whose `errors` name row and field. 429 and 503 say in `Retry-After` when to come "
    "back. Every answer has the `X-Request-Id` by which the portal traces it."
)
HEADERS = {
    "X-Request-Id": "A name for the request, 8 to 64 of A-Z a-z 0-9 . _ -. Left out: one is made.",
    "X-Portolan-Release": "The release that must answer, by its slug.",
    "X-Portolan-Sticky": "Equal values are answered by the same release.",
}


def describe_endpoint(endpoint: Endpoint) -> dict[str, Any]:
    """The endpoint's OpenAPI 3.1 document. Rows are those of the release with the most traffic;
    without a release they are any objects."""
    live = [each for each in endpoint.releases.all() if each.retired_at is None]
    release = max(live, key=lambda each: each.weight, default=None)
    model = f"/v2/models/{endpoint.slug}"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{endpoint.project.slug}/{endpoint.slug}",
            "version": release.slug if release else "none",
            "description": ABOUT,
        },
        "servers": [{"url": endpoint_url(endpoint)}],
        "security": [{"key": []}],
        "paths": {
            "/score": {"post": _post("score", "Score rows.", "Score", "Scored")},
            "/invocations": {
                "post": _post("invocations", "As MLflow's models.", "Invocation", "Invoked")
            },
            f"{model}/infer": {
                "post": _post("infer", "Open Inference Protocol 2.", "Infer", "Inferred")
            },
            model: {"get": _get("metadata", "The inputs and outputs, as tensors.")},
            "/v2/health/ready": {"get": _get("ready", "200 once a release can answer.")},
        },
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {**_bodies(), "Row": _row(endpoint, release)},
        },
    }


def _post(name: str, text: str, body: str, answer: str) -> dict[str, Any]:
    parameters = [
        {"name": header, "in": "header", "description": about, "schema": TEXT}
        for header, about in HEADERS.items()
    ]
    said = {key: {"schema": TEXT} for key in ("X-Request-Id", "X-Portolan-Release")}
    return {
        "operationId": name,
        "description": text,
        "parameters": parameters,
        "requestBody": {"required": True, "content": _json(body)},
        "responses": {
            "200": {"description": "Scored.", "headers": said, "content": _json(answer)},
            "default": {"description": "An RFC 9457 problem."},
        },
    }


def _get(name: str, text: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    answers = {
        "200": {"description": "As it is now.", "content": content},
        "default": {"description": "An RFC 9457 problem."},
    }
    return {"operationId": name, "description": text, "responses": answers}


def _json(shape: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{shape}"}}}


def _row(endpoint: Endpoint, release: Release | None) -> dict[str, Any]:
    if release is None:
        return {"type": "object", "description": "The endpoint has no release yet."}
    signature: Mapping[str, Any] = release.version.signature
    inputs: list[dict[str, Any]] = list(signature.get("inputs", ()))
    properties = {str(each["name"]): _value(each) for each in inputs}
    keys = [
        *signature.get("keys", ()),
        *({"name": name} for name in endpoint.definition.get("keys", ())),
    ]
    for key in keys:
        about = "Names the row; the model never sees it."
        properties.setdefault(str(key["name"]), {"description": about})
    row = {
        "type": "object",
        "properties": properties,
        "required": [str(each["name"]) for each in inputs],
        "additionalProperties": False,
    }
    example = release.version.input_example
    return {**row, "examples": example[:1]} if example else row


def _value(column: Mapping[str, Any]) -> dict[str, Any]:
    kind = TYPES.get(str(column.get("kind")), "string")
    value: dict[str, Any] = {"type": [kind, "null"] if column.get("is_nullable", True) else kind}
    if known := column.get("categories"):
        value["description"] = "Of another value than these it only knows that it is another."
        value["examples"] = list(known)[:20]
    return value


def _bodies() -> dict[str, Any]:
    tensor = {
        "type": "object",
        "properties": {
            "name": TEXT,
            "datatype": {"enum": ["FP64", "INT64", "BOOL", "BYTES"]},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "data": {"type": "array"},
        },
        "required": ["name", "shape", "datatype", "data"],
    }
    tensors = {"type": "array", "items": tensor}
    split = _object(columns=TEXTS, data={"type": "array", "items": {"type": "array"}})
    return {
        "Score": {**_object(rows=ROWS, probabilities={"type": "boolean"}), "required": ["rows"]},
        "Scored": {
            "description": "`predictions`: the value; with classes, the probability of the "
            "positive one (of two) or of the predicted one, with `labels` beside it.",
            **_object(
                request_id=TEXT, release=TEXT, predictions=NUMBERS, labels=TEXTS, classes=TEXTS,
                probabilities={"type": "array", "items": NUMBERS},
            ),
        },
        "Invocation": {
            "description": "One of these.",
            **_object(dataframe_records=ROWS, dataframe_split=split, inputs={}, instances={}),
        },
        "Invoked": _object(predictions={"type": "array"}),
        "Infer": {**_object(id=TEXT, inputs=tensors), "required": ["inputs"]},
        "Inferred": _object(model_name=TEXT, model_version=TEXT, id=TEXT, outputs=tensors),
    }  # fmt: skip


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}
