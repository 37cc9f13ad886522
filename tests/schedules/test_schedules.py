"""Schedules by services: who they run as, what stops them, what is missed."""

import datetime as dt
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from django.utils import timezone

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.events.models import Event
from apps.pipelines.models import Pipeline
from apps.projects.models import Member, Project, Role
from apps.schedules.models import Schedule
from apps.schedules.services import (
    create_schedule,
    delete_schedule,
    document_of,
    set_enabled,
    update_schedule,
)
from tests.factories import make_member, make_project
from workers.schedules import launch_due_schedules

pytestmark = pytest.mark.django_db
HOURLY: dict[str, Any] = {"subject": {"kind": "pipeline", "name": "line"}, "every": {"hours": 1}}


class Launches:
    """Stands for a stage: remembers what it was asked to launch, or refuses."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.refusal = refusal
        self.made: list[tuple[str, str]] = []

    def __call__(self, schedule: Schedule, user: User) -> None:
        if self.refusal:
            raise self.refusal
        self.made.append((schedule.slug, str(user)))


@pytest.fixture
def project() -> Project:
    project = make_project()
    Pipeline.objects.create(project=project, slug="line")
    return project


@pytest.fixture
def user(project: Project) -> User:
    return make_member(project, Role.CONTRIBUTOR)


@pytest.fixture
def due(project: Project, user: User) -> Schedule:
    schedule = create_schedule(project, slug="hourly", definition=HOURLY, user=user)
    return make_due(schedule)


def make_due(schedule: Schedule, hours_ago: float = 0) -> Schedule:
    at = timezone.now() - dt.timedelta(hours=hours_ago)
    Schedule.objects.filter(pk=schedule.pk).update(next_run_at=at, is_enabled=True)
    schedule.refresh_from_db()
    return schedule


def sweep(launch: Launches) -> int:
    return launch_due_schedules({"pipeline": launch})


def test_due_schedule_is_launched_once_as_its_principal(due: Schedule, user: User) -> None:
    launch = Launches()
    assert (sweep(launch), sweep(launch)) == (1, 0)
    assert launch.made == [("hourly", str(user))]
    due.refresh_from_db()
    assert due.last_run_at
    assert due.next_run_at
    assert due.next_run_at > timezone.now()


def test_missed_times_are_made_up_for_once_and_the_beat_is_kept(due: Schedule) -> None:
    make_due(due, hours_ago=5.5)
    beat = due.next_run_at
    assert beat
    launch = Launches()
    assert (sweep(launch), sweep(launch)) == (1, 0)
    due.refresh_from_db()
    assert due.next_run_at == beat + dt.timedelta(hours=6)


def test_schedule_stops_itself_when_its_principal_loses_the_role(due: Schedule, user: User) -> None:
    Member.objects.filter(user=user).update(role=Role.VIEWER)
    launch = Launches()
    sweep(launch)
    due.refresh_from_db()
    assert not launch.made
    assert not due.is_enabled
    assert "no longer a contributor" in due.message
    assert Event.objects.filter(verb="schedule.stopped", object_id=str(due.uuid)).exists()


def test_schedule_stops_itself_when_the_project_is_archived(
    due: Schedule, project: Project
) -> None:
    Project.objects.filter(pk=project.pk).update(archived_at=timezone.now())
    launch = Launches()
    sweep(launch)
    due.refresh_from_db()
    assert (launch.made, due.is_enabled) == ([], False)
    assert "is archived" in due.message


def test_schedule_stops_itself_when_what_it_launches_is_gone(due: Schedule) -> None:
    Pipeline.objects.all().delete()
    sweep(Launches())
    due.refresh_from_db()
    assert not due.is_enabled
    assert "is gone" in due.message


@pytest.mark.parametrize(
    ("refusal", "is_enabled", "said"),
    [
        (Conflict("It runs already."), True, "Not launched: It runs already."),
        (ValidationError({"week": "Not a number."}), True, "Not launched: Not a number."),
        (PermissionDenied("Only owners may."), False, "Stopped: Only owners may."),
        (Http404(), False, "Stopped: What it launches is gone."),
        (ZeroDivisionError(), True, "Not launched: Portolan failed."),
    ],
)
def test_refused_launch_is_told_and_the_next_time_comes(
    due: Schedule, refusal: Exception, is_enabled: bool, said: str
) -> None:
    assert sweep(Launches(refusal)) <= 1
    due.refresh_from_db()
    assert due.is_enabled == is_enabled
    assert due.message.startswith(said)
    assert sweep(Launches()) == 0


def test_bug_in_one_launch_does_not_keep_the_others(
    due: Schedule, project: Project, user: User
) -> None:
    make_due(create_schedule(project, slug="later", definition=HOURLY, user=user))

    def launch(schedule: Schedule, _: User) -> None:
        assert schedule.slug != "hourly"

    assert launch_due_schedules({"pipeline": launch}) == 1


def test_message_goes_when_a_launch_succeeds(due: Schedule) -> None:
    sweep(Launches(Conflict("Busy.")))
    make_due(due)
    sweep(Launches())
    due.refresh_from_db()
    assert due.message == ""


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"every": {"seconds": 5}}, "definition.every"),
        ({"cron": "0 6 * * *"}, "definition"),
        ({"every": None, "cron": "1 2 3"}, "definition.cron"),
        ({"every": None, "cron": "99 * * * *"}, "definition.cron"),
        ({"time_zone": "Mars/Olympus"}, "definition.time_zone"),
        ({"subject": {"kind": "pipeline", "name": "other"}}, "definition.subject.name"),
        ({"subject": {"kind": "shell", "name": "line"}}, "definition.subject.kind"),
        ({"parameters": {"a": "\0"}}, "definition.parameters"),
        ({"colour": "red"}, "definition.colour"),
    ],
)
def test_bad_definition_is_refused_by_its_path(
    project: Project, user: User, change: dict[str, Any], path: str
) -> None:
    definition = {k: v for k, v in {**HOURLY, **change}.items() if v is not None}
    with pytest.raises(ValidationError) as caught:
        create_schedule(project, slug="bad", definition=definition, user=user)
    assert list(caught.value.message_dict) == [path]
    assert not Schedule.objects.exists()


def test_definition_comes_back_as_it_was_given(project: Project, user: User) -> None:
    asked = {
        "subject": {"kind": "pipeline", "name": "line"},
        "cron": "0 6 * * 1",
        "time_zone": "Europe/Zurich",
        "parameters": {"weeks": 4},
    }
    schedule = create_schedule(project, slug="weekly", definition=asked, user=user)
    assert document_of(schedule) == asked
    assert document_of(update_schedule(schedule, definition=HOURLY, user=user)) == HOURLY


def test_whoever_starts_it_again_is_who_it_runs_as(due: Schedule, project: Project) -> None:
    other = make_member(project, Role.CONTRIBUTOR)
    stopped = set_enabled(due, is_enabled=False, user=other)
    assert (stopped.is_enabled, stopped.next_run_at) == (False, None)
    started = set_enabled(stopped, is_enabled=True, user=other)
    assert started.principal == other
    assert started.next_run_at
    assert started.next_run_at > timezone.now()


def test_stopped_schedule_that_is_changed_stays_stopped(due: Schedule, user: User) -> None:
    stopped = set_enabled(due, is_enabled=False, user=user)
    changed = update_schedule(stopped, definition=HOURLY, user=user)
    assert (changed.is_enabled, changed.next_run_at) == (False, None)


def test_viewers_change_nothing(due: Schedule, project: Project) -> None:
    viewer = make_member(project, Role.VIEWER)
    for write in (
        lambda: create_schedule(project, slug="new", definition=HOURLY, user=viewer),
        lambda: update_schedule(due, definition=HOURLY, user=viewer),
        lambda: set_enabled(due, is_enabled=False, user=viewer),
        lambda: delete_schedule(due, user=viewer),
    ):
        with pytest.raises(PermissionDenied):
            write()
    assert Schedule.objects.get().is_enabled
