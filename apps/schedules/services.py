"""Schedules: made, changed, stopped, and claimed when they are due."""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404
from django.utils import timezone

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.events.services import record_event
from apps.projects.models import Project, Role
from apps.projects.services import require_open, require_role, role_in
from apps.schedules.models import Schedule
from apps.schedules.timing import next_by_cron, next_by_interval
from runtime.documents.base import DocumentError, validate_document
from runtime.documents.schedule import ScheduleDocument, Subject

# What can be launched, by name: these are models of stages above this one.
SUBJECTS: Mapping[str, str] = {
    "pipeline": "pipelines.Pipeline",
    "ingest": "sources.Dataset",
    "monitor": "monitoring.Monitor",
}
# By which way a subject's project is found, where it is not its own.
PROJECT_PATHS: Mapping[str, str] = {"monitor": "endpoint__project"}
MAX_PARAMETERS = 20_000
GONE = "What it launches is gone. Delete the schedule, or define it anew."
Launch = Callable[[Schedule, User], object]


@transaction.atomic
def create_schedule(
    project: Project, *, slug: str, definition: Mapping[str, Any], user: User
) -> Schedule:
    """A schedule that runs as `user` from now on. Contributors may.

    Raise ValidationError by the document's paths (`definition.cron`).
    """
    require_role(user, project, Role.CONTRIBUTOR)
    require_open(project)
    schedule = Schedule(project=project, slug=slug, principal=user)
    _define(schedule, definition)
    schedule.full_clean()
    schedule.save()
    _tell("schedule.created", schedule, user, after=document_of(schedule))
    return schedule


@transaction.atomic
def update_schedule(schedule: Schedule, *, definition: Mapping[str, Any], user: User) -> Schedule:
    """Define it anew. It runs as whoever changed it last; whether it is enabled stays."""
    schedule = _locked(schedule, user)
    before = document_of(schedule)
    _define(schedule, definition)
    schedule.principal = user
    if not schedule.is_enabled:
        schedule.next_run_at = None
    schedule.full_clean()
    schedule.save()
    after = document_of(schedule)
    if before != after:
        _tell("schedule.changed", schedule, user, before=before, after=after)
    return schedule


@transaction.atomic
def set_enabled(schedule: Schedule, *, is_enabled: bool, user: User) -> Schedule:
    """Start or stop it; again changes nothing. It runs as whoever started it, from now on: what
    was missed meanwhile is not made up for."""
    schedule = _locked(schedule, user)
    if schedule.is_enabled == is_enabled:
        return schedule
    schedule.is_enabled = is_enabled
    schedule.next_run_at = first_run(schedule) if is_enabled else None
    if is_enabled:
        schedule.principal, schedule.message = user, ""
    schedule.save(update_fields=["is_enabled", "next_run_at", "principal", "message"])
    _tell(f"schedule.{'enabled' if is_enabled else 'disabled'}", schedule, user)
    return schedule


@transaction.atomic
def delete_schedule(schedule: Schedule, *, user: User) -> None:
    """Take it away. What it launched stays."""
    schedule = _locked(schedule, user)
    _tell("schedule.deleted", schedule, user, before=document_of(schedule))
    schedule.delete()


def _locked(schedule: Schedule, user: User) -> Schedule:
    """The row as it is now: the sweep may have moved it on since it was read."""
    require_role(user, schedule.project, Role.CONTRIBUTOR)
    require_open(schedule.project)
    rows = Schedule.objects.select_for_update(of=("self",)).select_related("project", "principal")
    found = rows.filter(pk=schedule.pk).first()
    if found is None:
        raise Http404
    return found


def _define(schedule: Schedule, definition: Mapping[str, Any]) -> None:
    try:
        document = validate_document(ScheduleDocument, definition)
    except DocumentError as error:
        paths = {
            f"definition.{path}" if path else "definition": text
            for path, text in error.errors.items()
        }
        raise ValidationError(paths) from None
    _refuse_odd(document.parameters)
    subject = find_subject(schedule.project, document.subject)
    schedule.subject_kind, schedule.subject_label = document.subject.kind, document.subject.name
    schedule.subject_id = subject
    schedule.cron = document.cron or ""
    schedule.interval_seconds = document.every.total_seconds if document.every else None
    schedule.time_zone, schedule.parameters = document.time_zone, document.parameters
    try:
        schedule.next_run_at = first_run(schedule)
    except ValidationError as error:
        raise ValidationError({"definition.cron": error.messages}) from None


def _refuse_odd(parameters: Mapping[str, Any]) -> None:
    text = json.dumps(parameters)
    if len(text) > MAX_PARAMETERS or "\\u0000" in text:
        said = "Parameters are at most 20,000 characters of JSON, without null characters."
        raise ValidationError({"definition.parameters": said})


def find_subject(project: Project, subject: Subject) -> UUID:
    """The uuid of what a schedule names in its project. Raise ValidationError."""
    model = apps.get_model(SUBJECTS[subject.kind])
    path = PROJECT_PATHS.get(subject.kind, "project")
    found = model._default_manager.filter(**{path: project, "slug": subject.name})
    ids: list[UUID] = list(found.values_list("uuid", flat=True)[:2])
    if not ids:
        word = {"ingest": "dataset"}.get(subject.kind, subject.kind)
        text = f"The project has no {word} named “{subject.name}”. Make it, then schedule it."
        raise ValidationError({"definition.subject.name": text})
    return ids[0]


def document_of(schedule: Schedule) -> dict[str, Any]:
    """The `ScheduleDocument` that makes this schedule, without what is left at its default."""
    made: dict[str, Any] = {
        "subject": {"kind": schedule.subject_kind, "name": schedule.subject_label}
    }
    if schedule.cron:
        made["cron"] = schedule.cron
    else:
        made["every"] = _every(schedule.interval_seconds or 0)
    if schedule.time_zone != "UTC":
        made["time_zone"] = schedule.time_zone
    if schedule.parameters:
        made["parameters"] = schedule.parameters
    return made


def _every(seconds: int) -> dict[str, int]:
    if seconds % 3600 == 0:
        return {"hours": seconds // 3600}
    return {"minutes": seconds // 60} if seconds % 60 == 0 else {"seconds": seconds}


def first_run(schedule: Schedule) -> dt.datetime:
    """The next time from now, for one that is made, changed or started."""
    now = timezone.now()
    if schedule.cron:
        return next_by_cron(schedule.cron, schedule.time_zone, now)
    return now + dt.timedelta(seconds=schedule.interval_seconds or 0)


def next_run(schedule: Schedule, due: dt.datetime, now: dt.datetime) -> dt.datetime:
    """The time after the one that was due; always ahead of now, so what was missed while nobody
    looked is made up for once."""
    if schedule.cron:
        return next_by_cron(schedule.cron, schedule.time_zone, now)
    return next_by_interval(schedule.interval_seconds or 1, due, now)


def launch_if_ours(schedule: Schedule, launch: Launch) -> bool:
    """Move a due schedule on and launch it, in one transaction: of many who try at once one does,
    and a crash undoes both. False when another was faster.

    A launch that is refused is kept as the schedule's message; where it cannot get better by
    itself (role lost, project archived, subject gone), the schedule stops and says so.
    """
    with transaction.atomic():
        due, now = schedule.next_run_at, timezone.now()
        if due is None:
            return False
        ours = Schedule.objects.filter(pk=schedule.pk, is_enabled=True, next_run_at=due)
        if not ours.update(next_run_at=next_run(schedule, due, now), last_run_at=now):
            return False
        schedule = Schedule.objects.select_related("project", "principal").get(pk=schedule.pk)
        if why := _why_not(schedule):
            _stop(schedule, why)
        else:
            _launch(schedule, launch)
    return True


def _launch(schedule: Schedule, launch: Launch) -> None:
    try:
        with transaction.atomic():
            launch(schedule, schedule.principal)
    except (PermissionDenied, Http404, ObjectDoesNotExist) as error:
        said = str(error) if isinstance(error, PermissionDenied) else ""
        _stop(schedule, said or GONE)
    except (ValidationError, Conflict) as error:
        messages = error.messages if isinstance(error, ValidationError) else [error.message]
        _note(schedule, f"Not launched: {' '.join(messages)}")
    else:
        _note(schedule, "")


def _note(schedule: Schedule, message: str) -> None:
    if schedule.message != message[:500]:
        Schedule.objects.filter(pk=schedule.pk).update(message=message[:500])
        if message:
            _tell("schedule.not_launched", schedule, None, after={"message": message[:500]})


def _why_not(schedule: Schedule) -> str:
    """Why it cannot launch anything any more, "" when it can."""
    principal = schedule.principal
    if schedule.project.archived_at is not None:
        return f"{schedule.project.name} is archived."
    if not principal.is_active:
        return f"{principal}, as whom it runs, is deactivated. A contributor can start it again."
    role = role_in(principal, schedule.project)
    if role is None or role.rank < Role.CONTRIBUTOR.rank:
        text = f"{principal}, as whom it runs, is no longer a contributor of the project."
        return f"{text} A contributor can start it again."
    model = apps.get_model(SUBJECTS[schedule.subject_kind])
    is_there = model._default_manager.filter(uuid=schedule.subject_id).exists()
    return "" if is_there else GONE


def _stop(schedule: Schedule, why: str) -> None:
    message = f"Stopped: {why}"[:500]
    Schedule.objects.filter(pk=schedule.pk).update(
        is_enabled=False, next_run_at=None, message=message
    )
    _tell("schedule.stopped", schedule, None, after={"message": message})


def note_bug(schedule: Schedule) -> None:
    """Say on the schedule that launching it failed for a fault of ours, and move it on, so that
    the sweep does not try it every second."""
    due, now = schedule.next_run_at, timezone.now()
    if due is None:
        return
    ours = Schedule.objects.filter(pk=schedule.pk, next_run_at=due)
    text = "Not launched: Portolan failed. Tell a site admin; the log says more."
    ours.update(next_run_at=next_run(schedule, due, now), message=text)


def _tell(
    verb: str,
    schedule: Schedule,
    actor: User | None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    record_event(
        verb,
        actor=actor,
        kind="schedule",
        id=schedule.uuid,
        label=schedule.slug,
        project_id=schedule.project.uuid,
        before=before,
        after=after,
    )
