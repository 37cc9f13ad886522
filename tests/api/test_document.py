"""The OpenAPI document: complete, current, and there to read."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings as portal
from django.core.management import call_command
from django.test import Client
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from apps.core.schema import document
from apps.overview.projectfiles.api import SCHEMAS
from tests.api.world import BACKEND, World, make_world

COMMITTED = portal.BASE_DIR / "docs" / "api.yaml"
OF_NO_PROJECT = {"backups", "invitations", "projects", "targets", "tokens", "users"}
PROJECT_FILE = ("ProjectFileRequest", "document")
REFRESH = "Run: manage.py spectacular --file docs/api.yaml --validate --fail-on-warn"


def operations() -> dict[str, tuple[str, dict[str, Any]]]:
    paths = document()["paths"].values()
    return {one["operationId"]: (m, one) for path in paths for m, one in path.items()}


@pytest.fixture
def world(db: None) -> World:
    return make_world()


@pytest.fixture
def browser(world: World, settings: Settings) -> Client:
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**portal.STORAGES, "staticfiles": plain}
    browser = Client()
    browser.force_login(world.person, BACKEND)
    return browser


def test_committed_document_is_current(tmp_path: Path) -> None:
    fresh = tmp_path / "api.yaml"
    call_command("spectacular", file=str(fresh), validate=True, fail_on_warn=True)
    assert COMMITTED.exists(), REFRESH
    assert COMMITTED.read_text() == fresh.read_text(), REFRESH


def test_every_operation_has_a_name_of_its_own_and_tells_its_problems() -> None:
    paths = document()["paths"].values()
    names = Counter(one["operationId"] for path in paths for one in path.values())
    assert set(names.values()) == {1}
    for name, (method, operation) in operations().items():
        wanted = {"400", "401", "403", "404", "405", "406", "429"}
        wanted |= {"409", "413", "415"} if method != "get" else set()
        wanted |= {"422"} if method == "post" else set()
        assert wanted <= set(operation["responses"]), name
        assert operation["security"] == [{"token": []}, {"cookieAuth": []}], name
        assert operation.get("description"), f"{name} does not say what it does"


def test_every_id_in_an_address_has_its_type() -> None:
    for name, (_, operation) in operations().items():
        for parameter in operation.get("parameters", []):
            schema = parameter["schema"]
            is_told = schema.get("format") or schema.get("pattern") or parameter["name"] == "slug"
            assert parameter["in"] != "path" or is_told, f"{name}: {parameter['name']}"


def properties() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, shape in document()["components"]["schemas"].items():
        for field, schema in shape.get("properties", {}).items():
            yield name, field, schema


def test_every_document_valued_field_says_where_its_shape_is() -> None:
    for name, field, schema in properties():
        if field in ("definition", "policy", "specs") or (name, field) == PROJECT_FILE:
            kinds = re.findall(r"/api/v1/document-schemas/([a-z]+)/", schema["description"])
            assert kinds, f"{name}.{field}"
            assert set(kinds) <= set(SCHEMAS), f"{name}.{field}"


def test_no_object_is_left_to_guess() -> None:
    for name, field, schema in properties():
        each = schema.get("items", schema)
        is_open = each.get("type") == "object" and each.get("additionalProperties") == {}
        assert not is_open or schema.get("description") or each.get("description"), (
            f"{name}.{field}"
        )


def test_lists_of_what_projects_hold_are_filtered_by_project() -> None:
    paths = document()["paths"]
    for path, methods in paths.items():
        is_list = methods.get("get", {}).get("operationId", "").endswith("_list")
        if not is_list or path.split("/")[3] in OF_NO_PROJECT:
            continue
        told = {each["name"]: each["description"] for each in methods["get"]["parameters"]}
        assert re.search(r"`project(_id)?` \((text|uuid)\)", told["filter"]), path
        assert told.keys() >= {"cursor", "size"}, path


def test_no_choice_of_shapes_takes_everything() -> None:
    # Null is then of two shapes, so of none.
    text = json.dumps(document()["components"], separators=(",", ":"), default=str)
    assert '"oneOf":[{},' not in text


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("application/json", "application/json"),
        ("application/vnd.oai.openapi+json", "application/vnd.oai.openapi+json"),
        ("application/yaml", "application/yaml"),
        ("application/vnd.oai.openapi", "application/vnd.oai.openapi"),
    ],
)
def test_document_is_served_as_json_and_yaml(world: World, accept: str, kind: str) -> None:
    headers = {**world.token, **({"Accept": accept} if accept else {})}
    response = APIClient().get("/api/v1/schema/", headers=headers)
    assert response["Content-Type"].split(";")[0] == kind
    text = response.content.decode()
    found = json.loads(text) if "json" in kind else yaml.safe_load(text)
    assert found["openapi"].startswith("3.1")
    assert found["paths"].keys() == document()["paths"].keys()


@pytest.mark.parametrize("accept", ["application/json", "application/yaml"])
def test_nobody_else_reads_the_document(db: None, accept: str) -> None:
    response = APIClient().get("/api/v1/schema/", headers={"Accept": accept})
    assert response.status_code == 401
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == 401


def test_reference_page_tells_every_operation_without_a_script(browser: Client) -> None:
    response = browser.get("/api/v1/docs/")
    assert response.status_code == 200
    text = response.content.decode()
    for name, (_, operation) in operations().items():
        assert f'id="{name}"' in text
        assert operation["operationId"] in text
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| onclick=", text)
    anchors = set(re.findall('href="#([^"]+)"', text))
    assert anchors <= set(re.findall('id="([^"]+)"', text))


def test_reference_page_asks_to_sign_in(db: None) -> None:
    response = Client().get("/api/v1/docs/")
    assert response.status_code == 302
    assert response["Location"].startswith("/account/login/")
