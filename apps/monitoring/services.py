"""Monitors: made and changed by people, evaluated by jobs."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.deployments.models import Endpoint
from apps.events.services import record_event
from apps.jobs.models import Job, State
from apps.jobs.services import create_job
from apps.monitoring.alerts import update_alerts
from apps.monitoring.models import Evaluation, Monitor
from apps.projects.models import Project, Role
from apps.projects.services import require_open, require_role
from apps.schedules.models import Schedule
from runtime.definitions import EvaluateSpec
from runtime.documents.base import DocumentError, validate_document
from runtime.documents.monitor import (
    MAX_WINDOW_SECONDS,
    OF_CATEGORIES,
    OF_NUMBERS,
    PREDICTION,
    MonitorDocument,
    Signal,
    window_seconds,
)

GIVE_UP_AFTER = dt.timedelta(hours=2)
EARLIEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
LATEST = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


@transaction.atomic
def create_monitor(
    project: Project, *, slug: str, definition: Mapping[str, Any], user: User
) -> Monitor:
    """Watch an endpoint of the project. Contributors and owners.

    Raise ValidationError, by path within `definition`, for what does not hold: unknown signals,
    columns that are no inputs of the endpoint's models, an endpoint that is not the project's.
    """
    require_role(user, project, Role.CONTRIBUTOR)
    require_open(project)
    document = _checked(definition)
    endpoint = _find_endpoint(project, document)
    _refuse_unknown_columns(document, endpoint)
    monitor = Monitor(endpoint=endpoint, slug=slug, definition=document.model_dump(mode="json"))
    monitor.full_clean(exclude=["endpoint"], validate_constraints=False)
    if Monitor.objects.filter(endpoint=endpoint, slug=slug).exists():
        raise ValidationError(
            {"slug": f"{endpoint} has such a monitor already. Change it, or choose another name."}
        )
    monitor.save()
    _tell("monitor.created", monitor, user, after={"definition": monitor.definition})
    return monitor


@transaction.atomic
def update_monitor(monitor: Monitor, *, definition: Mapping[str, Any], user: User) -> Monitor:
    """Give the monitor another definition, of the same endpoint. What it found stays.

    Contributors and owners. Its open alerts are looked at anew by the next evaluation.
    """
    project = monitor.endpoint.project
    require_role(user, project, Role.CONTRIBUTOR)
    require_open(project)
    document = _checked(definition)
    if document.endpoint != monitor.endpoint.slug:
        raise ValidationError(
            {"definition.endpoint": "A monitor stays with its endpoint. Make another for this one."}
        )
    _find_release(document.release, monitor.endpoint, field="definition.release")
    _refuse_unknown_columns(document, monitor.endpoint)
    before, monitor.definition = monitor.definition, document.model_dump(mode="json")
    if before != monitor.definition:
        monitor.save(update_fields=["definition"])
        _tell("monitor.updated", monitor, user, before=before, after=monitor.definition)
    return monitor


@transaction.atomic
def delete_monitor(monitor: Monitor, *, user: User) -> None:
    """Remove the monitor with its evaluations and alerts; events of them stay. Contributors and
    owners. Raise Conflict while an evaluation of it runs."""
    project = monitor.endpoint.project
    require_role(user, project, Role.CONTRIBUTOR)
    require_open(project)
    if monitor.evaluations.filter(job__finished_at__isnull=True).exists():
        raise Conflict("An evaluation of this monitor runs. Cancel it, or wait until it has ended.")
    _tell("monitor.deleted", monitor, user, before={"definition": monitor.definition})
    monitor.delete()


def window_until(monitor: Monitor, end: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """The monitor's own window, up to `end`."""
    seconds = window_seconds(str(monitor.definition["window"]))
    return end - dt.timedelta(seconds=seconds), end


@transaction.atomic
def launch_evaluation(
    monitor: Monitor,
    *,
    user: User,
    window_start: dt.datetime | None = None,
    window_end: dt.datetime | None = None,
    release: str | None = None,
) -> Evaluation:
    """Look at the requests captured from `window_start` up to `window_end` (left out: the
    monitor's window, up to now), of one release by its slug or of those the monitor names.

    Contributors and owners. Alerts follow only from evaluations of all that the monitor watches.
    """
    endpoint = monitor.endpoint
    project = endpoint.project
    require_role(user, project, Role.CONTRIBUTOR)
    start, end = _window(monitor, window_start, window_end)
    slug = str(monitor.definition.get("release") or "") if release is None else release
    _find_release(slug, endpoint, field="release")
    job = create_job(
        "evaluate",
        spec=asdict(_spec(monitor, start, end, slug)),
        target=endpoint.target,
        user=user,
        project=project,
        label=f"Evaluate {monitor}",
        give_up_after=GIVE_UP_AFTER,
    )
    return Evaluation.objects.create(monitor=monitor, job=job, window_start=start, window_end=end)


def _spec(monitor: Monitor, start: dt.datetime, end: dt.datetime, slug: str) -> EvaluateSpec:
    releases = monitor.endpoint.releases.select_related("version").order_by("pk")
    return EvaluateSpec(
        endpoint=str(monitor.endpoint.uuid),
        definition=dict(monitor.definition),
        window_start=start.isoformat(),
        window_end=end.isoformat(),
        releases=[
            {"uuid": str(each.uuid), "slug": each.slug, "version": str(each.version.uuid)}
            for each in releases
            if slug in ("", each.slug)
        ],
    )


def _window(
    monitor: Monitor, start: dt.datetime | None, end: dt.datetime | None
) -> tuple[dt.datetime, dt.datetime]:
    end = end or timezone.now()
    for name, time in (("window_start", start), ("window_end", end)):
        if time is not None and not EARLIEST <= time <= LATEST:
            raise ValidationError({name: "This lies outside the years 2000 to 2099. Correct it."})
    start = start or window_until(monitor, end)[0]
    if start >= end:
        raise ValidationError(
            {"window_start": "The window must begin before it ends. Swap the two times."}
        )
    if (end - start).total_seconds() > MAX_WINDOW_SECONDS:
        raise ValidationError({"window_start": "A window is at most 90 days long. Begin it later."})
    return start, end


def launch_scheduled_evaluation(schedule: Schedule, user: User) -> Evaluation:
    """What a schedule of a monitor launches: its window, up to now. Raise ValidationError when the
    monitor is gone; permission is the principal's, as it is now."""
    monitor = (
        Monitor.objects.filter(uuid=schedule.subject_id, endpoint__project=schedule.project)
        .select_related("endpoint__project", "endpoint__target")
        .first()
    )
    if monitor is None:
        raise ValidationError({"subject": "The monitor is gone. Remove its schedule."})
    return launch_evaluation(monitor, user=user)


def finish_evaluation(job: Job) -> None:
    """Keep what an ended evaluation found, and open or close alerts, in the transaction that ends
    its job. What the job says is checked for shape; an answer of another shape changes nothing."""
    evaluation = Evaluation.objects.filter(job=job).select_related("monitor__endpoint").first()
    if evaluation is None or job.state != State.SUCCEEDED:
        return
    said = job.outputs
    rows, signals = said.get("rows"), said.get("signals")
    if not isinstance(rows, int) or not isinstance(signals, list):
        return
    names = ("rows", "releases", "signals", "charts", "skipped")
    evaluation.row_count = rows
    evaluation.results = {name: said[name] for name in names if name in said}
    evaluation.save(update_fields=["row_count", "results"])
    # Kept once: charts are large.
    Job.objects.filter(pk=job.pk).update(
        outputs={k: v for k, v in said.items() if k not in ("charts", "signals")}
    )
    update_alerts(evaluation)


def _checked(definition: Mapping[str, Any]) -> MonitorDocument:
    try:
        return validate_document(MonitorDocument, definition)
    except DocumentError as error:
        raise ValidationError(
            {
                ".".join(filter(None, ("definition", path))): text
                for path, text in error.errors.items()
            }
        ) from None


def _find_endpoint(project: Project, document: MonitorDocument) -> Endpoint:
    endpoint = Endpoint.objects.filter(project=project, slug=document.endpoint).first()
    if endpoint is None:
        raise ValidationError(
            {
                "definition.endpoint": f"{project.name} has no endpoint “{document.endpoint}”. "
                "Make it first, or correct the name."
            }
        )
    _find_release(document.release, endpoint, field="definition.release")
    return endpoint


def _find_release(slug: str, endpoint: Endpoint, *, field: str) -> None:
    if slug and not endpoint.releases.filter(slug=slug).exists():
        raise ValidationError({field: f"{endpoint} has no release “{slug}”. See its releases."})


def _refuse_unknown_columns(document: MonitorDocument, endpoint: Endpoint) -> None:
    """Columns must be inputs of a model the endpoint serves, and of a kind that the signal is
    defined for. While nothing is released there, any name may be given."""
    kinds = {PREDICTION: "number"}
    for release in endpoint.releases.select_related("version"):
        for each in release.version.signature.get("inputs", []):
            kinds[str(each["name"])] = str(each["kind"])
    if len(kinds) == 1:
        return
    errors = {}
    for number, signal in enumerate(document.signals):
        if text := _unfit(signal, kinds):
            errors[f"definition.signals.{number}.columns"] = text
    if errors:
        raise ValidationError(errors)


def _unfit(signal: Signal, kinds: Mapping[str, str]) -> str:
    for name in signal.columns:
        if name not in kinds:
            return f"{name} is no input of the endpoint's models. Correct or leave out the name."
        is_number = kinds[name] in ("number", "integer")
        if signal.signal in OF_NUMBERS and not is_number:
            return f"{signal.signal} is defined for numbers, and {name} is none. Leave it out."
        if signal.signal in OF_CATEGORIES and is_number:
            return f"{signal.signal} is defined for categories, and {name} is none. Leave it out."
    return ""


def _tell(verb: str, monitor: Monitor, user: User, **more: Mapping[str, Any]) -> None:
    record_event(
        verb,
        actor=user,
        kind="monitor",
        id=monitor.uuid,
        label=monitor.slug,
        project_id=monitor.endpoint.project.uuid,
        **more,
    )
