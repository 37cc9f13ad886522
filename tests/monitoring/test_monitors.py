"""Monitors over REST: made, changed, removed, and refused with the field named."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.deployments.models import Endpoint
from apps.events.models import Event
from apps.jobs.models import Job
from apps.monitoring.models import Evaluation, Monitor
from apps.monitoring.services import create_monitor, launch_scheduled_evaluation
from apps.projects.models import Project, Role
from apps.schedules.models import Schedule
from tests.factories import make_member, make_project
from tests.monitoring.world import definition, make_endpoint, make_release

pytestmark = pytest.mark.django_db
Asked = dict[str, Any]


@pytest.fixture(autouse=True)
def var(settings: Settings, tmp_path: Path) -> Path:
    settings.VAR_DIR = tmp_path
    return tmp_path


@pytest.fixture
def project() -> Project:
    return make_project(slug="churn")


@pytest.fixture
def endpoint(project: Project) -> Endpoint:
    endpoint = make_endpoint(project)
    make_release(endpoint, "champion")
    return endpoint


@pytest.fixture
def client(project: Project) -> APIClient:
    client = APIClient()
    client.force_authenticate(make_member(project, Role.CONTRIBUTOR))
    return client


def body(**document: Any) -> Asked:
    return {"project": "churn", "slug": "drift", "definition": definition(**document)}


def post(client: APIClient, asked: Asked, path: str = "monitors/") -> Any:
    return client.post(f"/api/v1/{path}", asked, format="json")


def errors(answer: Any) -> dict[str, str]:
    assert answer.status_code == 400, answer.json()
    return {each["field"]: each["message"] for each in answer.json()["errors"]}


def test_monitor_is_made_changed_and_removed(client: APIClient, endpoint: Endpoint) -> None:
    made = post(client, body()).json()
    assert made["definition"]["window"] == "1d"
    address = f"/api/v1/monitors/{made['uuid']}/"
    changed = client.patch(address, {"definition": definition(window="6h")}, format="json")
    assert changed.json()["definition"]["window"] == "6h"
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404
    verbs = Event.objects.filter(object_kind="monitor").order_by("id")
    assert [each.verb for each in verbs] == [
        "monitor.created",
        "monitor.updated",
        "monitor.deleted",
    ]


@pytest.mark.parametrize(
    ("signal", "field"),
    [
        ({"signal": "vibes", "threshold": 1}, "definition.signals.0.signal"),
        ({"signal": "psi"}, "definition.signals.0.threshold"),
        ({"signal": "psi", "threshold": -1}, "definition.signals.0.threshold"),
        ({"signal": "psi", "threshold": "much"}, "definition.signals.0.threshold"),
        ({"signal": "ks", "threshold": 2}, "definition.signals.0"),
        ({"signal": "psi", "threshold": 1, "direction": "below"}, "definition.signals.0"),
        ({"signal": "psi", "threshold": 1, "colour": 1}, "definition.signals.0.colour"),
        ({"signal": "error_rate", "threshold": 0.1, "columns": ["a"]}, "definition.signals.0"),
        (
            {"signal": "psi", "threshold": 1, "columns": ["colour"]},
            "definition.signals.0.columns",
        ),
        ({"signal": "ks", "threshold": 1, "columns": ["age"]}, "definition.signals.0.columns"),
        (
            {"signal": "unseen_rate", "threshold": 1, "columns": ["spend"]},
            "definition.signals.0.columns",
        ),
        (
            {"signal": "psi", "threshold": 1, "columns": ["spend", "spend"]},
            "definition.signals.0.columns",
        ),
    ],
)
def test_wrong_signal_is_refused_by_field(
    client: APIClient, endpoint: Endpoint, signal: Asked, field: str
) -> None:
    assert field in errors(post(client, body(signals=[signal])))
    assert not Monitor.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"endpoint": "nowhere"}, "definition.endpoint"),
        ({"release": "nobody"}, "definition.release"),
        ({"window": "soon"}, "definition.window"),
        ({"window": "91d"}, "definition.window"),
        ({"min_rows": 1}, "definition.min_rows"),
        ({"signals": []}, "definition.signals"),
        ({"colour": "red"}, "definition.colour"),
    ],
)
def test_wrong_document_is_refused_by_field(
    client: APIClient, endpoint: Endpoint, change: Asked, field: str
) -> None:
    assert field in errors(post(client, body(**change)))


def test_signal_watched_twice_is_refused(client: APIClient, endpoint: Endpoint) -> None:
    twice = [{"signal": "psi", "threshold": 0.1}, {"signal": "psi", "threshold": 0.2}]
    assert "watched twice" in errors(post(client, body(signals=twice)))["definition.signals"]


def test_endpoint_of_another_project_is_not_found(client: APIClient, endpoint: Endpoint) -> None:
    make_endpoint(make_project(), "theirs")
    told = errors(post(client, body(endpoint="theirs")))
    assert "has no endpoint" in told["definition.endpoint"]


def test_name_is_free_once_an_endpoint(client: APIClient, endpoint: Endpoint) -> None:
    assert post(client, body()).status_code == 201
    assert "slug" in errors(post(client, body()))
    assert "slug" in errors(post(client, {**body(), "slug": "No Slug"}))


def test_monitor_stays_with_its_endpoint(client: APIClient, endpoint: Endpoint) -> None:
    make_endpoint(endpoint.project, "other")
    made = post(client, body()).json()
    moved = {"definition": definition(endpoint="other")}
    answer = client.patch(f"/api/v1/monitors/{made['uuid']}/", moved, format="json")
    assert "definition.endpoint" in errors(answer)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (
            {"window_start": "2026-01-02T00:00:00Z", "window_end": "2026-01-01T00:00:00Z"},
            "window_start",
        ),
        (
            {"window_start": "2026-01-01T00:00:00Z", "window_end": "2026-06-01T00:00:00Z"},
            "window_start",
        ),
        ({"window_end": "0001-01-01T00:00:00Z"}, "window_end"),
        ({"window_start": "yesterday"}, "window_start"),
        ({"release": "nobody"}, "release"),
    ],
)
def test_wrong_window_is_refused(
    client: APIClient, endpoint: Endpoint, asked: Asked, field: str
) -> None:
    made = post(client, body()).json()
    assert field in errors(post(client, asked, f"monitors/{made['uuid']}/evaluate/"))
    assert not Evaluation.objects.exists() and not Job.objects.filter(kind="evaluate").exists()


def test_evaluation_looks_back_from_now_by_itself(client: APIClient, endpoint: Endpoint) -> None:
    made = post(client, body(window="2h")).json()
    told = post(client, {}, f"monitors/{made['uuid']}/evaluate/")
    assert told.status_code == 201 and told.json()["state"] == "queued"
    evaluation = Evaluation.objects.get(uuid=told.json()["uuid"])
    assert evaluation.window_end - evaluation.window_start == dt.timedelta(hours=2)
    assert timezone.now() - evaluation.window_end < dt.timedelta(minutes=1)
    assert client.delete(f"/api/v1/monitors/{made['uuid']}/").status_code == 409


def test_archived_project_takes_no_monitors(client: APIClient, endpoint: Endpoint) -> None:
    made = post(client, body()).json()
    Project.objects.update(archived_at=timezone.now())
    assert post(client, {**body(), "slug": "b"}).status_code == 409
    assert post(client, {}, f"monitors/{made['uuid']}/evaluate/").status_code == 409


def make_schedule(monitor: Monitor, role: Role) -> Schedule:
    project = monitor.endpoint.project
    return Schedule.objects.create(
        project=project,
        slug="hourly",
        subject_kind="monitor",
        subject_id=monitor.uuid,
        subject_label="drift",
        interval_seconds=3600,
        principal=make_member(project, role),
    )


def test_schedule_launches_as_its_principal(project: Project, endpoint: Endpoint) -> None:
    user = make_member(project, Role.CONTRIBUTOR)
    monitor = create_monitor(project, slug="drift", definition=definition(), user=user)
    schedule = make_schedule(monitor, Role.CONTRIBUTOR)
    evaluation = launch_scheduled_evaluation(schedule, schedule.principal)
    assert evaluation.job.created_by == schedule.principal
    demoted = make_member(project, Role.VIEWER)
    with pytest.raises(PermissionDenied):
        launch_scheduled_evaluation(schedule, demoted)
    Monitor.objects.filter(pk=monitor.pk).delete()
    with pytest.raises(ValidationError):
        launch_scheduled_evaluation(schedule, schedule.principal)
