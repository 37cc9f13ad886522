"""Uploads, sources and datasets over REST: what is taken, what is refused, what is left behind."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.models import User
from apps.accounts.tokens import create_token
from apps.jobs.models import Job
from apps.projects.models import Project, Role
from apps.sources.models import Source, Upload
from tests.factories import make_member, make_project
from tests.sources.making import (
    CSV,
    finish,
    make_dataset,
    make_source,
    make_upload,
    make_version,
    upload_definition,
)

pytestmark = pytest.mark.django_db(transaction=True)
BOUNDARY = "mark"
PLACES = ("../out", "/etc", "in/../../out", "link", "", "nul\0l")


@pytest.fixture
def client(person: User) -> Client:
    _, text = create_token(person, name="t", scopes=["read", "sources:write"], days=1,
                           created_by=person)  # fmt: skip
    return Client(headers={"Authorization": f"Bearer {text}"})


def post(client: Client, path: str, body: Any, status: int, **headers: str) -> Any:
    answer = client.post(f"/api/v1/{path}", json.dumps(body), "application/json", headers=headers)
    assert answer.status_code == status, answer.content
    return answer.json()


def send(client: Client, project: Project, content: bytes, status: int = 201, **more: Any) -> Any:
    file = SimpleUploadedFile("d.csv", content)
    answer = client.post("/api/v1/uploads/", {"project": project.slug, "file": file}, **more)
    assert answer.status_code == status, answer.content
    return answer.json()


def files_left() -> list[Path]:
    folder = Path(settings.VAR_DIR, "uploads")
    return [path for path in folder.rglob("*") if path.is_file()]


def errors(answer: Any) -> dict[str, str]:
    return {each["field"]: each["message"] for each in answer["errors"]}


def test_upload_is_kept_whole_and_hashed(client: Client, project: Project) -> None:
    content = b"a,b\n" + b"1,2\n" * 1_000_000
    said = send(client, project, content)
    upload = Upload.objects.get()
    assert upload.path.read_bytes() == content
    assert (said["size_bytes"], said["sha256"]) == (4 * 1_000_001, upload.sha256)
    assert upload.sha256 == hashlib.sha256(content).hexdigest()
    assert files_left() == [upload.path]


def test_upload_sent_twice_under_one_key_is_one(client: Client, project: Project) -> None:
    more: Any = {"headers": {"Idempotency-Key": "k"}}
    first = send(client, project, b"a\n1\n", **more)
    assert send(client, project, b"a\n1\n", **more) == first
    send(client, project, b"a\n2\n", 422, **more)
    assert len(files_left()) == Upload.objects.count() == 1


def test_refused_uploads_leave_nothing(
    client: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "file" in errors(send(client, project, b"", 400))
    send(client, make_project(), b"a\n", 404)
    archived = client.post("/api/v1/uploads/", {"project": project.slug})
    assert "file" in errors(archived.json())
    file = SimpleUploadedFile("d.csv", b"a\n1\n")
    odd = client.post("/api/v1/uploads/", {"project": project.slug, "other": file})
    assert "other" in errors(odd.json())
    monkeypatch.setattr(settings.ENV, "upload_max_mb", 1)
    assert "larger than 1 MB" in send(client, project, b"x" * 1_100_000, 413)["detail"]
    assert "larger than 1 MB" in send(client, project, b"x" * 3_000_000, 413)["detail"]
    assert files_left() == []


def test_half_sent_upload_leaves_nothing(client: Client, project: Project) -> None:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="d.csv"\r\n\r\n'
    body = io.BytesIO(head.encode() + b"x" * 200_000)

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if block := body.read(min(size or 65536, 65536)):
                return block
            raise OSError("the client is gone")

    told: Any = {
        "wsgi.input": Broken(),
        "CONTENT_LENGTH": "900000",
        "CONTENT_TYPE": f"multipart/form-data; boundary={BOUNDARY}",
    }
    answer = client.generic("POST", "/api/v1/uploads/", **told)
    assert answer.status_code == 400
    assert "broke off" in answer.json()["detail"]
    assert files_left() == []
    assert not Upload.objects.exists()


def test_session_may_upload_too(project: Project, person: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(person, "allauth.account.auth_backends.AuthenticationBackend")
    send(browser, project, b"a\n1\n", 403)
    assert files_left() == []
    browser.cookies["portolan_csrf"] = "a" * 32
    send(browser, project, b"a\n1\n", headers={"X-CSRFToken": "a" * 32})


def test_source_is_made_changed_used_and_kept(client: Client, project: Project) -> None:
    definition = upload_definition(make_upload(project))
    made = post(client, "sources/", {
        "project": project.slug, "slug": "orders", "definition": definition,
    }, 201)  # fmt: skip
    dataset = {"project": project.slug, "slug": "orders", "source": "orders"}
    assert post(client, "datasets/", dataset, 201)["version"] is None
    address = f"/api/v1/sources/{made['uuid']}/"
    changed = client.patch(address, json.dumps({"description": "d"}), "application/json")
    assert changed.json()["description"] == "d"
    assert changed.json()["definition"] == definition
    refused = client.delete(address)
    assert refused.status_code == 409
    assert "Dataset “orders” is filled from this source" in refused.json()["detail"]


def test_whole_way_over_rest(client: Client, project: Project, answering: None) -> None:
    upload = send(client, project, b"id,name\n1,x\n2,y\n3,y\n")
    definition = {"connection": {"kind": "upload", "upload": upload["uuid"]}, "format": CSV}
    of = {"project": project.slug, "slug": "shops"}
    source = post(client, "sources/", {**of, "definition": definition}, 201)
    seen = post(client, f"sources/{source['uuid']}/test/", {}, 200)
    assert seen["rows"][0] == {"id": 1, "name": "x"}
    dataset = post(client, "datasets/", {**of, "source": "shops"}, 201)
    job = post(client, f"datasets/{dataset['uuid']}/ingest/", {}, 202)
    finish(Job.objects.get(pk=job["id"]))
    found = client.get(f"/api/v1/datasets/{dataset['uuid']}/").json()
    version = client.get(f"/api/v1/dataset-versions/{found['version_uuid']}/").json()
    assert version["profile"]["columns"]["name"]["top"][0] == ["y", 2]
    rows = client.get(f"/api/v1/dataset-versions/{version['uuid']}/rows/?where=name=y&limit=1")
    assert rows.json() == {"rows": [{"id": 2, "name": "y"}], "is_cut": False}


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("kind", ["folder", "sqlite"])
def test_paths_outside_the_roots_are_refused(
    client: Client, project: Project, root: Path, path: str, kind: str
) -> None:
    (root.parent / "out").mkdir()
    (root / "link").symlink_to(root.parent / "out")
    connection = {"kind": kind, "path": path, **({"table": "t"} if kind == "sqlite" else {})}
    definition: dict[str, Any] = {"connection": connection}
    if kind == "folder":
        definition["format"] = CSV
    body = {"project": project.slug, "slug": "s", "definition": definition}
    answer = post(client, "sources/", body, 400)
    assert any(field.endswith("path") for field in errors(answer)) or "\0" in path
    assert not Source.objects.exists()


def test_the_portals_own_folder_is_refused(
    client: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    var = Path(settings.VAR_DIR)
    for root, path in ((var, "keys"), (var.parent, var.name), (var.parent, "."), (Path("/"), "/")):
        monkeypatch.setattr(settings.ENV, "folder_roots", [root])
        connection = {"kind": "folder", "path": path, "pattern": "**/*"}
        body: dict[str, Any] = {"project": project.slug, "slug": "s"}
        body |= {"definition": {"connection": connection, "format": CSV}}
        answer = post(client, "sources/", body, 400)
        assert "definition.connection.path" in errors(answer)


@pytest.mark.parametrize(("definition", "field"), [
    ({}, "definition.connection"),
    ({"connection": {"kind": "ftp"}}, "definition.connection"),
    ({"connection": {"kind": "folder", "path": "x", "speed": 1}, "format": CSV},
     "definition.connection.speed"),
    ({"connection": {"kind": "folder", "path": "x"}, "format": CSV, "more": 1}, "definition.more"),
    ({"connection": {"kind": "folder", "path": "x"}}, "definition"),
    ({"connection": {"kind": "folder", "path": "x", "pattern": "../*"}, "format": CSV},
     "definition.connection.pattern"),
    ({"connection": {"kind": "folder", "path": "x"}, "format": {**CSV, "delimiter": "ab"}},
     "definition.format.delimiter"),
    ({"connection": {"kind": "folder", "path": "x"}, "format": {**CSV, "encoding": "rot13"}},
     "definition.format.encoding"),
    ({"connection": {"kind": "sqlite", "path": "x", "query": "DROP TABLE y"}},
     "definition.connection"),
    ({"connection": {"kind": "upload", "upload": "00000000-0000-0000-0000-000000000000"},
      "format": CSV}, "definition.connection.upload"),
])  # fmt: skip
def test_bad_definitions_name_their_field(
    client: Client, project: Project, definition: Any, field: str
) -> None:
    body = {"project": project.slug, "slug": "s", "definition": definition}
    assert field in errors(post(client, "sources/", body, 400))
    assert not Source.objects.exists()


def test_rows_are_asked_for_by_known_columns_and_types(
    client: Client, project: Project, answering: None
) -> None:
    version = make_version(make_dataset(project))
    address = f"/api/v1/dataset-versions/{version.uuid}/rows/"
    assert client.get(f"{address}?where=spend=").json()["rows"][0]["household_id"] == 2
    for query, field in (
        ("where=no=1", "where"), ("where=household_id", "where"), ("limit=0", "limit"),
        ("limit=1001", "limit"), ("where=household_id=x", "household_id"), ("other=1", "other"),
    ):  # fmt: skip
        answer = client.get(f"{address}?{query}")
        assert answer.status_code == 400, query
        assert field in errors(answer.json())


def test_viewer_reads_and_may_not_write(project: Project) -> None:
    viewer = make_member(project, Role.VIEWER)
    source = make_source(project)
    browser = Client()
    browser.force_login(viewer, "allauth.account.auth_backends.AuthenticationBackend")
    assert browser.get(f"/api/v1/sources/{source.uuid}/").status_code == 200
    for path in ("test/", ""):
        answer = browser.post(f"/api/v1/sources/{source.uuid}/{path}", "", "application/json")
        assert answer.status_code in (403, 405)
