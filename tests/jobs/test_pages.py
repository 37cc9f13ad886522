"""A check of this machine from launch to its end: through the pages, through REST, by `advance`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User
from apps.jobs.models import Job, State
from apps.projects.models import Project, Role
from apps.targets.services import get_local_target
from tests.factories import make_member, make_project
from tests.servers import wait_until
from workers.tasks import advance

pytestmark = pytest.mark.django_db
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture(autouse=True)
def var(settings: Settings, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path


@pytest.fixture
def project() -> Project:
    return make_project(slug="reef")


@pytest.fixture
def browser(client: Client, project: Project) -> Client:
    client.force_login(make_member(project, Role.CONTRIBUTOR), backend=BACKEND)
    return client


def drive(job: Job) -> Job:
    """Be the worker until the job has ended."""

    def has_ended() -> bool:
        Job.objects.filter(pk=job.pk, finished_at=None).update(next_poll_at=timezone.now())
        advance([str(job.pk)])
        job.refresh_from_db()
        return job.is_final

    wait_until(has_ended, what="the job to end")
    return job


def test_check_through_the_pages(browser: Client) -> None:
    asked = {"target": "local", "seconds": 0, "memory_mb": 256}
    launched = browser.post("/p/reef/checks/new/", asked)
    job = Job.objects.get()
    assert launched["Location"] == f"/jobs/{job.pk}/"
    assert 'hx-trigger="every' in browser.get(f"/jobs/{job.pk}/status/").content.decode()
    assert drive(job).state == State.SUCCEEDED, job.message
    page = browser.get(f"/jobs/{job.pk}/").content.decode()
    assert "denied: read" in page
    assert "hx-trigger" not in browser.get(f"/jobs/{job.pk}/status/").content.decode()
    assert job.outputs["allowed"] == 0
    assert str(job.pk) in browser.get("/p/reef/activity/").content.decode()


def test_check_through_rest(browser: Client) -> None:
    asked = {"project": "reef"}
    made = browser.post("/api/v1/target-checks/", asked, content_type="application/json")
    assert (made.status_code, made.json()["state"]) == (201, "queued")
    drive(Job.objects.get())
    path = f"/api/v1/jobs/{made.json()['id']}/"
    seen = browser.get(path).json()
    assert (seen["state"], seen["outputs"]["allowed"]) == ("succeeded", 0)
    assert [each["state"] for each in seen["events"]] == ["queued", "running", "succeeded"]
    text, cursor = "", 0
    while not (piece := browser.get(f"{path}logs/?cursor={cursor}").json())["is_complete"]:
        text, cursor = text + piece["text"], piece["cursor"]
    assert "denied: read" in text + piece["text"]


def test_running_check_is_cancelled_and_says_who_asked(browser: Client) -> None:
    asked = {"target": "local", "seconds": 600, "memory_mb": 256}
    browser.post("/p/reef/checks/new/", asked)
    job = Job.objects.get()
    advance([str(job.pk)])
    part = browser.post(f"/jobs/{job.pk}/cancel/", headers={"HX-Request": "true"})
    assert "Stopping" in part.content.decode()
    assert drive(job).state == State.CANCELLED
    again = browser.post(f"/api/v1/jobs/{job.pk}/cancel/", content_type="application/json")
    assert (again.status_code, again["Content-Type"]) == (409, "application/problem+json")
    assert "asked for it to stop" in browser.get(f"/jobs/{job.pk}/").content.decode()


@pytest.mark.parametrize(
    "body", [{"seconds": -1}, {"memory_mb": 1}, {"target": "nowhere"}, {"seconds": "x"}]
)
def test_form_and_rest_refuse_the_same_check(browser: Client, body: dict[str, Any]) -> None:
    asked = {"target": "local", "seconds": 0, "memory_mb": 256, **body}
    page = browser.post("/p/reef/checks/new/", asked)
    rest = browser.post(
        "/api/v1/target-checks/", {**asked, "project": "reef"}, content_type="application/json"
    )
    assert rest.status_code == 400
    assert {each["field"] for each in rest.json()["errors"]} == set(page.context["form"].errors)
    assert not Job.objects.exists()


def add_jobs(project: Project, user: User, count: int) -> None:
    now = timezone.now()
    ended = {"state": State.SUCCEEDED, "finished_at": now, "next_poll_at": None}
    Job.objects.bulk_create(
        Job(project=project, target=get_local_target(), kind="check", created_by=user, **ended)
        for _ in range(count)
    )


@pytest.mark.parametrize("path", ["/activity/", "/p/reef/activity/", "/p/reef/", "/api/v1/jobs/"])
def test_lists_ask_as_often_for_many_jobs_as_for_few(
    browser: Client, project: Project, path: str, count_queries: Callable[..., int]
) -> None:
    user = make_member(project, Role.OWNER)
    add_jobs(project, user, 2)
    browser.get(path)
    few = count_queries(browser, path)
    add_jobs(project, user, 60)
    assert count_queries(browser, path) == few <= 14
