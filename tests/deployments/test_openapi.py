"""An endpoint's own OpenAPI document."""

from typing import Any

from drf_spectacular.validation import validate_schema

from apps.accounts.models import User
from apps.deployments.openapi import describe_endpoint
from apps.projects.models import Project
from tests.deployments.rows import make_endpoint, make_release

SIGNATURE = {
    "task": "regression",
    "inputs": [
        {"name": "hour", "kind": "integer", "is_nullable": False},
        {"name": "weather", "kind": "category", "categories": ["dry", "rain"]},
    ],
    "keys": [{"name": "ride", "kind": "text"}],
}


def row_of(document: dict[str, Any]) -> dict[str, Any]:
    validate_schema(document)  # type: ignore[no-untyped-call]
    row: dict[str, Any] = document["components"]["schemas"]["Row"]
    return row


def test_rows_are_those_of_the_release_with_most_traffic(project: Project, owner: User) -> None:
    endpoint = make_endpoint(project, owner, keys=["station"])
    release = make_release(endpoint, owner, "first", None)
    release.version.signature = SIGNATURE
    release.version.save()
    row = row_of(describe_endpoint(endpoint))
    assert row["required"] == ["hour", "weather"]
    assert set(row["properties"]) == {"hour", "weather", "ride", "station"}
    assert row["properties"]["hour"] == {"type": "integer"}
    assert row["properties"]["weather"]["type"] == ["string", "null"]
    assert row["properties"]["weather"]["examples"] == ["dry", "rain"]


def test_endpoint_without_a_release_says_so(project: Project, owner: User) -> None:
    assert "no release" in row_of(describe_endpoint(make_endpoint(project, owner)))["description"]


def test_address_and_protocols_are_told(project: Project, owner: User) -> None:
    endpoint = make_endpoint(project, owner)
    document = describe_endpoint(endpoint)
    assert document["servers"][0]["url"].endswith(f"/{project.slug}/live")
    assert "/v2/models/live/infer" in document["paths"]
