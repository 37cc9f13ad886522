"""The API reference: the OpenAPI document as a file, and as a page to read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.schema import document
from apps.core.viewsets import HouseViewSet

REFERENCE = "#/components/"


@dataclass(frozen=True)
class Field:
    """A parameter or a property, as the page shows it. `shape` names the schema it links to."""

    name: str
    kind: str
    shape: str
    where: str
    is_required: bool
    text: str


@dataclass(frozen=True)
class Operation:
    id: str
    method: str
    path: str
    text: str
    fields: list[Field]
    body: str
    answers: list[tuple[str, str, str]]


@dataclass(frozen=True)
class Shape:
    name: str
    text: str
    fields: list[Field]


class SchemaViewSet(HouseViewSet[Any]):
    """The OpenAPI document, as JSON or YAML."""

    renderer_classes = (
        OpenApiJsonRenderer2,
        OpenApiJsonRenderer,
        OpenApiYamlRenderer2,
        OpenApiYamlRenderer,
    )

    @extend_schema(exclude=True)
    def retrieve(self, request: Request) -> Response:
        return Response(document())

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        # A problem is JSON even for one who asked for YAML.
        self.request.accepted_renderer = JSONRenderer()
        return response


@login_required
def docs(request: HttpRequest) -> HttpResponse:
    """The reference as a page of ours: no script is needed to read it."""
    found = document()
    resources: dict[str, list[Operation]] = {}
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            one = _operation(found, method, path, operation)
            resources.setdefault(operation["tags"][0], []).append(one)
    shapes = [
        Shape(name, schema.get("description", ""), list(_properties(schema)))
        for name, schema in found["components"]["schemas"].items()
    ]
    context = {"info": found["info"], "resources": resources.items(), "shapes": shapes}
    return render(request, "api/docs.html", context)


def _operation(
    found: dict[str, Any], method: str, path: str, operation: dict[str, Any]
) -> Operation:
    fields = [
        _field(each["name"], each["schema"], each, where=each["in"], required=each.get("required"))
        for each in operation.get("parameters", [])
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    answers = []
    for code, answer in sorted(operation["responses"].items()):
        said = _resolve(found, answer)
        shapes = [_kind(each.get("schema", {}))[1] for each in said.get("content", {}).values()]
        answers.append((code, said["description"], next(iter(shapes), "")))
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        text=operation.get("description", ""),
        fields=fields,
        body=_kind(body.get("schema", {}))[1],
        answers=answers,
    )


def _resolve(found: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    reference = part.get("$ref", "")
    if not reference.startswith(REFERENCE):
        return part
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def _properties(schema: dict[str, Any]) -> Iterator[Field]:
    required = schema.get("required", [])
    for name, each in schema.get("properties", {}).items():
        yield _field(name, each, each, where="", required=name in required)


def _field(name: str, schema: Any, said: Any, *, where: str, required: bool | None) -> Field:
    kind, shape = _kind(schema)
    return Field(name, kind, shape, where, bool(required), said.get("description", ""))


def _kind(schema: dict[str, Any]) -> tuple[str, str]:
    """The type in words, and the name of the shape it refers to."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return name, name
    for key in ("allOf", "oneOf", "anyOf"):
        if key in schema:
            parts = [_kind(each) for each in schema[key]]
            words = dict.fromkeys(kind for kind, _ in parts if kind != "any")
            return " or ".join(words), next((shape for _, shape in parts if shape), "")
    listed: str | list[str] = schema.get("type", "any")
    kind = listed if isinstance(listed, str) else " or ".join(listed)
    if kind == "array":
        inner, shape = _kind(schema.get("items", {}))
        return f"list of {inner}", shape
    if "enum" in schema:
        return ", ".join(str(each) for each in schema["enum"] if each is not None), ""
    return f"{kind} ({schema['format']})" if "format" in schema else kind, ""
