"""Models over REST: from a run to a champion, and what is told of it."""

from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.projects.models import Project, Role
from apps.registry.models import ModelVersion
from tests.factories import make_member, make_project
from tests.registry.rows import finish, make_run_row, make_trained, make_version

pytestmark = pytest.mark.django_db
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def owner(project: Project, client: Client) -> User:
    owner = make_member(project, Role.OWNER)
    client.force_login(owner, backend=BACKEND)
    return owner


def post(client: Client, path: str, body: Any, status: int = 200) -> Any:
    said = client.post(f"/api/v1/{path}", body, content_type="application/json")
    assert said.status_code == status, said.content
    return said.json()


def make_model(client: Client, project: Project, **more: Any) -> Any:
    return post(client, "models/", {"project": project.slug, "slug": "churn", **more}, 201)


@pytest.mark.process
def test_run_becomes_champion_over_rest(project: Project, owner: User, client: Client) -> None:
    policy = {"not_by_author": False, "needs_onnx": True}
    model = make_model(client, project, policy=policy)
    run = make_trained(project, owner, "lightgbm")
    body = {"project": project.slug, "model": "churn", "run": str(run.uuid)}
    made = post(client, "model-versions/", body, 201)
    assert (made["state"], made["engine"], made["number"]) == ("queued", "", 1)
    finish(ModelVersion.objects.get(uuid=made["uuid"]))
    at = f"model-versions/{made['uuid']}/"
    told = client.get(f"/api/v1/{at}").json()
    assert (told["state"], told["engine"]) == ("succeeded", "onnx"), told
    assert told["lineage"]["features"] == ["spend", "visits", "age"]
    assert told["lineage"]["dataset"] == "features"
    assert told["files"]["model.onnx"]
    approval = post(client, f"{at}approve/", {"reason": "Good."})
    assert approval["evidence"]["findings"][0]["is_met"]
    pointed = {"name": "champion", "version": made["uuid"]}
    aliases = post(client, f"models/{model['uuid']}/aliases/", pointed)["aliases"]
    assert aliases == [{"name": "champion", "version": made["uuid"], "number": 1}]
    assert client.get(f"/api/v1/{at}").json()["aliases"] == ["champion"]


def test_history_is_told_for_a_day_and_refuses_what_is_none(
    project: Project, owner: User, client: Client
) -> None:
    model = make_model(client, project)
    version = make_version(project.registered_models.get())
    at = f"models/{model['uuid']}/"
    post(client, f"{at}aliases/", {"name": "best", "version": str(version.uuid)})
    now = client.get(f"/api/v1/{at}history/").json()
    assert [(each["name"], each["number"]) for each in now["aliases"]] == [("best", 1)]
    assert client.get(f"/api/v1/{at}history/?at=2020-01-01").json()["aliases"] == []
    post(client, f"{at}aliases/remove/", {"name": "best"})
    told = client.get(f"/api/v1/{at}history/").json()
    assert told["aliases"] == []
    assert [each["version"] for each in told["changes"]] == [None, str(version.uuid)]
    for wrong in ("yesterday", "2026-13-01", "0001-01-01T00:00+23:59", ""):
        query = {"at": wrong}
        assert client.get(f"/api/v1/{at}history/", query).status_code == 400, wrong


def test_foreign_runs_and_versions_are_not_found(
    project: Project, owner: User, client: Client
) -> None:
    model = make_model(client, project)
    elsewhere = make_run_row(make_project())
    body = {"project": project.slug, "model": "churn", "run": str(elsewhere.uuid)}
    assert "There is no such run" in post(client, "model-versions/", body, 400)["detail"]
    named = {"name": "best", "version": str(elsewhere.uuid)}
    said = post(client, f"models/{model['uuid']}/aliases/", named, 400)
    assert said["errors"][0]["field"] == "version"
    body = {**body, "model": "nothing"}
    assert post(client, "model-versions/", body, 400)["errors"][0]["field"] == "model"


def test_policy_that_does_not_hold_is_a_conflict_that_says_what(
    project: Project, owner: User, client: Client
) -> None:
    gates = [{"metric": "test.auc", "at_least": 0.9}]
    make_model(client, project, policy={"gates": gates})
    version = make_version(project.registered_models.get(), test_auc=0.7)
    said = post(client, f"model-versions/{version.uuid}/approve/", {"reason": "Please."}, 409)
    assert "test.auc is 0.7; it must be at least 0.9" in said["detail"]


def test_lists_filter_and_cost_the_same_for_any_number(
    project: Project, owner: User, client: Client, django_assert_max_num_queries: Any
) -> None:
    make_model(client, project)
    model = project.registered_models.get()
    for engine in ("onnx", "native", "onnx"):
        make_version(model, engine=engine)
    with django_assert_max_num_queries(10):
        listed = client.get("/api/v1/model-versions/", {"filter": "engine = onnx"}).json()
    assert len(listed["results"]) == 2
    with django_assert_max_num_queries(10):
        assert len(client.get("/api/v1/models/").json()["results"]) == 1
