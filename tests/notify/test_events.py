"""Events: who reads which, and the export as JSON lines."""

import json
from typing import Any

import pytest
from django.http import HttpResponseBase
from django.test import Client

from apps.accounts.models import User
from apps.events.models import Event
from apps.events.services import record_event
from apps.notify.services import visible_events
from apps.projects.models import Project, Role
from tests.factories import make_member, make_project, make_user

pytestmark = pytest.mark.django_db
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def tell(verb: str, *, project: Project | None = None, actor: User | None = None) -> Event:
    return record_event(
        verb,
        actor=actor,
        kind="thing",
        id=1,
        label="Ding\nzwei «Zeilen»",
        project_id=project.uuid if project else None,
        before={"same": 1, "was": "a"},
        after={"same": 1, "was": "b"},
    )


def lines(answer: HttpResponseBase) -> list[dict[str, Any]]:
    assert answer.streaming
    text = b"".join(answer).decode()
    return [json.loads(line) for line in text.splitlines()]


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


def test_only_what_changed_is_kept() -> None:
    event = tell("thing.changed")
    assert (event.before, event.after) == ({"was": "a"}, {"was": "b"})
    assert event.actor_label == "Portolan"


def test_each_reads_their_projects_their_own_and_admins_the_sites() -> None:
    project, other = make_project(), make_project()
    viewer, admin = make_member(project, Role.VIEWER), make_user(is_site_admin=True)
    ours, theirs = tell("a.ours", project=project), tell("a.theirs", project=other)
    own, site = tell("a.own", actor=viewer), tell("a.site")
    assert set(visible_events(viewer)) == {ours, own}
    assert set(visible_events(admin)) == {own, site}
    assert set(visible_events(make_user())) == set()
    assert theirs in visible_events(make_member(other, Role.VIEWER))


def test_export_of_a_timeline_is_every_event_a_line_newest_first() -> None:
    project = make_project(slug="reef")
    made = [tell(f"thing.number_{number}", project=project) for number in range(120)]
    tell("thing.elsewhere", project=make_project())
    answer = browser(make_member(project, Role.VIEWER)).get("/p/reef/timeline/export/")
    assert answer["Content-Type"] == "application/x-ndjson"
    assert "reef-events.jsonl" in answer["Content-Disposition"]
    told = lines(answer)
    assert [each["verb"] for each in told] == [each.verb for each in reversed(made)]
    assert told[0]["object_label"] == "Ding\nzwei «Zeilen»"
    assert told[0]["after"] == {"was": "b"}
    assert told[0]["at"].endswith("+00:00")


def test_export_keeps_to_the_filter_of_the_list() -> None:
    admin = make_user(is_site_admin=True)
    tell("person.invited")
    tell("target.paused")
    for path in ("/site/audit/export/", "/api/v1/events/export/"):
        answer = browser(admin).get(path, {"filter": "verb = target.paused"})
        assert [each["verb"] for each in lines(answer)] == ["target.paused"], path


def test_wrong_filter_is_no_export_of_everything() -> None:
    client = browser(make_user(is_site_admin=True))
    tell("person.invited")
    assert client.get("/site/audit/export/", {"filter": "verb ="}).status_code == 404
    assert client.get("/api/v1/events/export/", {"filter": "verb ="}).status_code == 400


def test_event_has_the_request_it_came_of() -> None:
    client = browser(make_user())
    answer = client.post("/projects/new/", {"name": "Atlas"})
    assert Event.objects.get(verb="project.created").request_id == answer["X-Request-ID"]
