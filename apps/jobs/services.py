"""Every write to a job. Only `workers.tasks` calls what is below "the worker's side"."""

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.events.services import record_event
from apps.jobs import dispatch
from apps.jobs.models import Job, JobEvent, JobLog, State
from apps.projects.models import Project, Role
from apps.targets.models import Target
from apps.targets.services import engine_info
from runtime.definitions import CheckSpec, field_names
from workers.engines.base import Support

GIVE_UP_AFTER = dt.timedelta(days=7)
# How long a cancelled job is waited for before it is called failed.
CANCEL_WITHIN = dt.timedelta(minutes=15)
ALLOWED_FROM: Mapping[State, frozenset[State]] = {
    State.RUNNING: frozenset({State.QUEUED}),
    State.SUCCEEDED: frozenset({State.RUNNING}),
    State.FAILED: frozenset({State.QUEUED, State.RUNNING}),
    State.CANCELLED: frozenset({State.QUEUED, State.RUNNING}),
}
LOG_LIMIT_BYTES = 5 * 1024 * 1024
LOG_LIMIT_NOTICE = "\n[The log is longer than 5 MB. The rest is in the job's own folder.]\n"


@transaction.atomic
def create_job(
    kind: str,
    *,
    spec: Mapping[str, Any],
    target: Target,
    user: User | None,
    label: str,
    project: Project | None = None,
    give_up_after: dt.timedelta = GIVE_UP_AFTER,
    is_ephemeral: bool = False,
) -> Job:
    """Queue a job: row, first event and, after the commit, a nudge. Returns at once.

    Raise ValidationError when the target's engine cannot run this kind or refuses a field of it,
    Conflict when the project is archived. A paused target keeps the job queued until it resumes.
    Permission is the caller's to decide. `user` None means the portal itself.
    """
    # An archived project can still be looked into: questions change nothing.
    if project is not None and project.archived_at is not None and not is_ephemeral:
        raise Conflict(f"{project.name} is archived. Unarchive it before launching anything in it.")
    _refuse_unsupported(kind, spec, target)
    now = timezone.now()
    job = Job.objects.create(
        project=project,
        target=target,
        kind=kind,
        label=label[:200],
        spec=dict(spec),
        created_by=user,
        created_at=now,
        next_poll_at=now,
        sent_at=now,
        give_up_at=now + give_up_after,
        is_ephemeral=is_ephemeral,
    )
    JobEvent.objects.create(job=job, state=State.QUEUED, message="Queued.")
    if not is_ephemeral:
        _tell("job.launched", job, user, after={"kind": kind, "target": target.slug})
    _send_after_commit(job)
    return job


def launch_check(project: Project, *, target_slug: str, spec: CheckSpec, user: User) -> Job:
    """Check a target from inside a confined process, as a job of the project.

    Raise PermissionDenied below contributor, ValidationError for an unknown target.
    """
    if not Project.objects.with_role(user, Role.CONTRIBUTOR).filter(pk=project.pk).exists():
        raise PermissionDenied("Only contributors and owners of the project can launch jobs in it.")
    target = Target.objects.filter(slug=target_slug).first()
    if target is None:
        raise ValidationError({"target": "There is no such target. See the list of targets."})
    return create_job(
        "check",
        spec=asdict(spec),
        target=target,
        user=user,
        project=project,
        label=f"Check {target.name}",
        give_up_after=dt.timedelta(hours=2),
    )


def _refuse_unsupported(kind: str, spec: Mapping[str, Any], target: Target) -> None:
    support = engine_info(target).jobs.get(kind)
    if support is None:
        raise ValidationError({"target": f"{target.name} cannot run {kind} jobs. Choose another."})
    unknown = sorted(spec.keys() - field_names(kind))
    if unknown:
        raise ValidationError({unknown[0]: f"A {kind} job has no field of this name."})
    for name in sorted(spec):
        if support.fields[name].support is Support.REFUSES:
            raise ValidationError({name: f"{target.name} refuses it: {support.fields[name].note}"})


@transaction.atomic
def request_cancel(job: Job, *, user: User) -> Job:
    """Ask for the job to stop. Asking again changes nothing; an ended job is a Conflict.

    The state changes when the engine says so. Raise PermissionDenied below contributor.
    """
    if not Job.objects.cancellable_by(user).filter(pk=job.pk).exists():
        raise PermissionDenied("Only contributors and owners of the project can cancel its jobs.")
    job = Job.objects.select_for_update().get(pk=job.pk)
    if job.is_final:
        raise Conflict(f"This job has ended already: {State(job.state).label.lower()}.")
    if job.cancel_requested_at is not None:
        return job
    now = timezone.now()
    give_up_at = min(job.give_up_at or now + CANCEL_WITHIN, now + CANCEL_WITHIN)
    Job.objects.filter(pk=job.pk).update(cancel_requested_at=now, give_up_at=give_up_at)
    JobEvent.objects.create(job=job, state=job.state, message=f"{user} asked for it to stop.")
    _tell("job.cancel_requested", job, user)
    wake(job.pk)
    job.refresh_from_db()
    return job


def wake(job_id: uuid.UUID) -> None:
    """Have the job looked at now, unless a worker holds it: that one looks again itself."""
    now = timezone.now()
    free = Job.objects.filter(pk=job_id, claim__isnull=True, next_poll_at__isnull=False)
    if free.update(next_poll_at=now, sent_at=now):
        _send_after_commit(Job.objects.get(pk=job_id))


def _send_after_commit(job: Job) -> None:
    queue, job_id, sent_at = queue_of(job), job.pk, job.sent_at

    # A nested def, not a partial: on Django 5.2 a failing partial crashes robust callbacks.
    def send() -> None:
        if not dispatch.send(dispatch.ADVANCE, [[str(job_id)]], queue=queue):
            Job.objects.filter(pk=job_id, sent_at=sent_at).update(sent_at=None)

    transaction.on_commit(send, robust=True)


def queue_of(job: Job) -> str:
    """Where a nudge for the job goes: its host's own queue once a host runs it."""
    if job.is_ephemeral:
        return dispatch.INTERACTIVE_QUEUE
    return dispatch.host_queue(job.worker_host) if job.worker_host else dispatch.SHARED_QUEUE


def _tell(verb: str, job: Job, actor: User | None, after: Mapping[str, Any] | None = None) -> None:
    record_event(
        verb,
        actor=actor,
        kind="job",
        id=job.pk,
        label=job.label,
        project_id=job.project.uuid if job.project else None,
        after=after,
    )


# The worker's side: all below happens under a claim.


def claim(job_id: str, *, host: str) -> Job | None:
    """Take hold of one job until its lease ends; None when it is another's, elsewhere or over."""
    mine = uuid.uuid4()
    lease_ends = timezone.now() + dt.timedelta(seconds=settings.LEASE_SECONDS)
    free = Job.objects.claimable().on_host(host).filter(pk=job_id)
    if not free.update(claim=mine, next_poll_at=lease_ends, sent_at=None):
        return None
    return Job.objects.select_related("target", "project").get(pk=job_id, claim=mine)


def claim_pollable(job_ids: Iterable[str], *, host: str) -> list[Job]:
    """Take hold of those of many jobs that only need a look, in one statement."""
    mine, now = uuid.uuid4(), timezone.now()
    free = Job.objects.claimable().on_host(host).filter(pk__in=list(job_ids), state=State.RUNNING)
    plain = free.filter(cancel_requested_at__isnull=True, give_up_at__gt=now).exclude(
        external_id=""
    )
    lease_ends = now + dt.timedelta(seconds=settings.LEASE_SECONDS)
    if not plain.update(claim=mine, next_poll_at=lease_ends, sent_at=None):
        return []
    return list(Job.objects.select_related("target", "project").filter(claim=mine))


def renew(job: Job) -> bool:
    """Push the lease's end ahead. False when the claim is no longer ours."""
    lease_ends = timezone.now() + dt.timedelta(seconds=settings.LEASE_SECONDS)
    return bool(Job.objects.filter(pk=job.pk, claim=job.claim).update(next_poll_at=lease_ends))


@transaction.atomic
def transition(
    job: Job, to: State, *, claim: uuid.UUID | None, message: str, **fields: Any
) -> bool:
    """Change the state, if the claim is still ours and the state allows it, and write the event.

    False means nothing was changed: a stale worker's late word. A final state frees the job.
    """
    now = timezone.now()
    if to.is_final:
        fields |= {"finished_at": now, "next_poll_at": None, "claim": None, "sent_at": None}
    ours = Job.objects.filter(pk=job.pk, claim=claim, state__in=ALLOWED_FROM[to])
    if claim is None or not ours.update(state=to, message=message[:2000], **fields):
        return False
    JobEvent.objects.create(job=job, state=to, message=message[:2000], created_at=now)
    if to.is_final and not job.is_ephemeral:
        _tell(f"job.{to.value}", job, None, after={"message": message[:500]} if message else None)
    job.refresh_from_db()
    return True


@transaction.atomic
def release(job: Job, *, claim: uuid.UUID | None, look_again_in: float, **fields: Any) -> bool:
    """Let go of a job that has not ended, to be looked at again in so many seconds.

    Contact lost or found again is written as an event. False when the claim was not ours.
    """
    was_reachable = job.reachable
    soon = timezone.now() + dt.timedelta(seconds=look_again_in)
    ours = Job.objects.filter(pk=job.pk, claim=claim, next_poll_at__isnull=False)
    if claim is None or not ours.update(claim=None, sent_at=None, next_poll_at=soon, **fields):
        return False
    if fields.get("reachable", was_reachable) != was_reachable:
        text = "Contact lost: " + str(fields.get("message", "")) if was_reachable else "In contact."
        JobEvent.objects.create(job=job, state=job.state, message=text[:2000])
    seen = job.cancel_requested_at
    late = Job.objects.filter(pk=job.pk, cancel_requested_at__isnull=False)
    if seen is None and late.exists():
        wake(job.pk)
    return True


def append_log(job: Job, pieces: Iterable[str]) -> None:
    """Add what was read of the job's log, up to the limit. Call in the transaction that moves
    `log_cursor`, so that no piece is stored twice."""
    pieces = [text for text in pieces if text]
    if not pieces:
        return
    offset = job.log_pieces.aggregate(last=Max("offset"))["last"]
    if offset is not None:
        offset += JobLog.objects.values_list("size", flat=True).get(job=job, offset=offset)
    offset = offset or 0
    for text in pieces:
        if offset >= LOG_LIMIT_BYTES:
            return
        if offset + len(text.encode()) >= LOG_LIMIT_BYTES:
            text = text[: LOG_LIMIT_BYTES - offset] + LOG_LIMIT_NOTICE
            size = max(len(text.encode()), LOG_LIMIT_BYTES - offset)
        else:
            size = len(text.encode())
        JobLog.objects.create(job=job, offset=offset, size=size, text=text)
        offset += size


def due_unsent(limit: int) -> list[Job]:
    """Due jobs nobody has been told of, oldest first."""
    rows = Job.objects.due().filter(sent_at__isnull=True).order_by("next_poll_at")
    return list(
        rows.only("pk", "kind", "state", "target_id", "worker_host", "is_ephemeral")[:limit]
    )


def mark_sent(jobs: Iterable[Job]) -> list[Job]:
    """Compare-and-set: of these jobs, those that are now ours to send, and nobody else's."""
    ids = {job.pk: job for job in jobs}
    stamp = timezone.now()
    unsent = Job.objects.filter(pk__in=ids, sent_at__isnull=True, next_poll_at__isnull=False)
    if unsent.update(sent_at=stamp) == len(ids):
        return list(ids.values())
    won = Job.objects.filter(pk__in=ids, sent_at=stamp).values_list("pk", flat=True)
    return [ids[pk] for pk in won]


def unmark_sent(jobs: Iterable[Job]) -> None:
    Job.objects.filter(pk__in=[job.pk for job in jobs]).update(sent_at=None)


def forget_lost_nudges(is_queue_empty: bool) -> int:
    """Have jobs sent again whose nudge must be lost: sent a lease ago, and the queues are empty.

    While a backlog waits, nothing is sent twice; after twenty leases we stop believing in it.
    A `sent_at` ahead of the clock was written before the clock stepped back.
    """
    lease = dt.timedelta(seconds=settings.LEASE_SECONDS)
    now = timezone.now()
    old = Q(sent_at__lt=now - (lease if is_queue_empty else 20 * lease)) | Q(
        sent_at__gt=now + lease
    )
    return Job.objects.due().filter(old).update(sent_at=None)


def delete_ephemeral(older_than: dt.timedelta = dt.timedelta(minutes=10)) -> int:
    """Remove answered questions: nobody waits for them any more."""
    ended = Job.objects.filter(is_ephemeral=True, finished_at__lt=timezone.now() - older_than)
    return ended.delete()[0]
