"""The worker loop: claim a job, take one step, record what was seen. All of Celery we have.

`advance` is safe to run any number of times, at any moment, for any job: whoever holds the claim
works, everybody else changes nothing. A crash anywhere leaves a lease that runs out; the next
worker enters the same step again, and engines' `submit` starts nothing twice.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from celery import shared_task
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from apps.core.requests import set_request_id
from apps.deployments.routing import finish_route_change
from apps.experiments.finishing import finish_run
from apps.jobs import dispatch, services
from apps.jobs.models import Job, State
from apps.monitoring.services import finish_evaluation
from apps.overview.services import finish_backup
from apps.pipelines.services import finish_run as finish_pipeline_run
from apps.registry.services import finish_registration
from apps.sources.services import finish_ingest, resolve_secret
from apps.sources.sources import SECRET_PREFIX
from apps.targets.models import Desired, Target
from apps.targets.services import (
    claim_check,
    engine_context,
    engine_info,
    record_check,
)
from workers.engines import check_target, open_engine
from workers.engines.base import (
    EngineError,
    EngineUnavailable,
    JobEngine,
    Observation,
    TargetCheck,
)
from workers.schedules import launch_due_schedules

log = logging.getLogger(__name__)

# What the stages above jobs do when a job of theirs has ended, in the transaction that ends it.
ON_FINISH: dict[str, Callable[[Job], None]] = {
    "backup": finish_backup,
    "deploy": finish_route_change,
    "evaluate": finish_evaluation,
    "ingest": finish_ingest,
    "pipeline": finish_pipeline_run,
    "register": finish_registration,
    "train": finish_run,
}

BUGS_FORGIVEN = 5
PAUSED_LOOK_SECONDS = 5.0
LOG_PIECES_PER_LOOK = 16
SWEEP_LIMIT = 20_000
QUEUED_PER_NUDGE = 10
RUNNING_PER_NUDGE = 200


@dataclass(frozen=True)
class Outcome:
    """What one step came to. `observation` None: nothing was seen, look again later."""

    observation: Observation | None = None
    look_again_in: float = 1.0
    fields: dict[str, Any] = field(default_factory=dict)
    log_pieces: tuple[str, ...] = ()


@shared_task(name=dispatch.ADVANCE, ignore_result=True)
def advance(job_ids: list[str]) -> None:
    """Take the next step of each job. Jobs that need only a look are looked at together."""
    host = settings.ENV.host_name
    together = services.claim_pollable(job_ids, host=host) if len(job_ids) > 1 else []
    if together:
        _look_at_many(together)
    done = {str(job.pk) for job in together}
    for job_id in job_ids:
        if job_id not in done and (job := services.claim(job_id, host=host)):
            _advance_one(job, step)


def _advance_one(job: Job, take: Callable[[Job], Outcome | None]) -> None:
    set_request_id(f"job-{job.pk}")
    with _lease_kept(job):
        try:
            outcome = take(job)
        except EngineError as error:
            outcome = Outcome(Observation("failed", str(error)))
        except EngineUnavailable as error:
            outcome = _out_of_contact(job, str(error))
        except Exception:
            # The one place where any error ends: a bug of ours must cost one job, not the worker.
            log.exception("bug while advancing job %s", job.pk)
            outcome = _after_bug(job)
        if outcome is not None:
            record(job, outcome)


def step(job: Job) -> Outcome | None:
    """Do the one thing the job needs next. None when the claim was lost on the way."""
    if job.state == State.QUEUED and job.cancel_requested_at is not None:
        return Outcome(Observation("cancelled", "Cancelled before it started."))
    if job.give_up_at is not None and job.give_up_at <= timezone.now():
        return _give_up(job)
    if job.state == State.QUEUED and job.target.desired == Desired.PAUSED:
        message = f"{job.target.name} is paused; the job waits."
        return Outcome(look_again_in=PAUSED_LOOK_SECONDS, fields={"message": message})
    engine = _open(job)
    if not job.external_id:
        outcome = _submit(job, engine)
        if outcome is not None or not job.external_id:
            return outcome
    if job.cancel_requested_at is not None:
        engine.cancel(job.external_id)
    return _seen(job, engine, engine.poll(job.external_id))


def _submit(job: Job, engine: JobEngine) -> Outcome | None:
    """Start the job, or go on starting it. None with `external_id` set: go on to a first look."""
    host = settings.ENV.host_name if engine_info(job.target).is_host_bound else ""
    if job.state == State.QUEUED and not services.transition(
        job,
        State.RUNNING,
        claim=job.claim,
        message="Started.",
        started_at=timezone.now(),
        worker_host=host,
    ):
        return None
    submission = engine.submit(str(job.pk), job.spec, job.cursor)
    if not submission.is_complete:
        return Outcome(look_again_in=0, fields={"cursor": submission.cursor, "attempt": 0})
    job.external_id = submission.external_id
    saved = {"external_id": submission.external_id, "cursor": submission.cursor, "attempt": 0}
    if submission.observation is not None:
        return Outcome(submission.observation, fields=saved)
    if job.cancel_requested_at is not None:
        return None
    return Outcome(look_again_in=min(_poll_seconds(job), 0.5), fields=saved)


def _seen(job: Job, engine: JobEngine, observation: Observation) -> Outcome:
    pieces, cursor = _read_log(job, engine, observation.is_final)
    fields = {"external_id": job.external_id, "log_cursor": cursor, "attempt": 0}
    return Outcome(observation, _poll_seconds(job), fields, pieces)


def _read_log(job: Job, engine: JobEngine, is_final: bool) -> tuple[tuple[str, ...], str]:
    """What the log has gained. A log that cannot be read now costs nothing: the cursor stays."""
    pieces: list[str] = []
    cursor = job.log_cursor
    # The last look reads on to the end; the limit on what is stored bounds it.
    limit = LOG_PIECES_PER_LOOK * (10 if is_final else 1)
    for _ in range(limit):
        try:
            text, cursor = engine.logs(job.external_id, cursor)
        except (EngineError, EngineUnavailable) as error:
            log.info("log of job %s not readable now: %s", job.pk, error)
            break
        if not text:
            break
        pieces.append(text)
    return tuple(pieces), cursor


def _look_at_many(jobs: list[Job]) -> None:
    """One question for many jobs of the same target and kind; what is missing is asked alone."""
    engine = _open(jobs[0])
    try:
        seen = engine.poll_many([job.external_id for job in jobs])
    except (EngineError, EngineUnavailable) as error:
        log.info("%d jobs could not be looked at together: %s", len(jobs), error)
        seen = {}
    for job in jobs:
        observation = seen.get(job.external_id)

        def look(job: Job, observation: Observation | None = observation) -> Outcome:
            return _seen(job, engine, observation or engine.poll(job.external_id))

        _advance_one(job, look)


def _give_up(job: Job) -> Outcome:
    """Past its deadline: ask it to stop, once, and call it failed whatever it answers."""
    if job.external_id:
        try:
            _open(job).cancel(job.external_id)
        except EngineUnavailable as error:
            log.warning("job %s given up, but not stopped: %s", job.pk, error)
    if job.cancel_requested_at is not None:
        text = "Asked to stop, but never seen to. It may still run: look at the target."
    elif job.state == State.QUEUED:
        text = "Not started before its deadline. Look at the target, then launch it again."
    else:
        text = "Not done before its deadline, and stopped. Give it more time or less to do."
    return Outcome(Observation("failed", text))


def _out_of_contact(job: Job, message: str) -> Outcome:
    fields = {"reachable": False, "attempt": job.attempt + 1, "message": message[:2000]}
    return Outcome(look_again_in=_back_off(job), fields=fields)


def _after_bug(job: Job) -> Outcome:
    if job.attempt + 1 >= BUGS_FORGIVEN:
        text = f"Portolan failed to follow this job. Tell a site admin: log entry job-{job.pk}."
        return Outcome(Observation("failed", text))
    return Outcome(look_again_in=_back_off(job), fields={"attempt": job.attempt + 1})


def _back_off(job: Job) -> float:
    return float(min(_poll_seconds(job) * 2 ** min(job.attempt, 6), settings.LEASE_SECONDS))


def _poll_seconds(job: Job) -> float:
    """Seconds until the next look. Remote jobs are looked at less often as they grow old."""
    info = engine_info(job.target)
    if info.is_host_bound or job.started_at is None:
        return info.poll_seconds
    age = (timezone.now() - job.started_at).total_seconds()
    slower = info.poll_seconds * min(max(age / 60, 1), 6)
    return float(min(slower, settings.LEASE_SECONDS * 3))


def record(job: Job, outcome: Outcome) -> bool:
    """Write what was seen, if the claim is still ours. What a stage does at the end is done in
    the same transaction, so a job has never ended without it."""
    seen, fields = outcome.observation, dict(outcome.fields)
    if seen is not None:
        fields |= {"observed_at": timezone.now(), "reachable": True}
        fields["outputs"] = {**job.outputs, **seen.outputs}
    with transaction.atomic():
        if seen is not None and seen.is_final:
            is_ours = _end(job, seen, fields)
        else:
            if seen is not None:
                fields["message"] = seen.message[:2000]
            is_ours = services.release(
                job, claim=job.claim, look_again_in=outcome.look_again_in, **fields
            )
        if is_ours:
            services.append_log(job, outcome.log_pieces)
    if is_ours and job.is_ephemeral and job.is_final:
        dispatch.push_answer(str(job.pk))
    return is_ours


def _end(job: Job, seen: Observation, fields: dict[str, Any]) -> bool:
    if seen.state == "succeeded" and job.state == State.QUEUED:
        raise AssertionError("a job that was never started cannot have succeeded")
    is_ours = services.transition(
        job, State(seen.state), claim=job.claim, message=seen.message, **fields
    )
    if is_ours and (finish := ON_FINISH.get(job.kind)):
        finish(job)
    return is_ours


@contextmanager
def _lease_kept(job: Job) -> Iterator[None]:
    """Renew the lease from a thread for as long as the step takes."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(settings.LEASE_SECONDS / 3):
            try:
                if not services.renew(job):
                    return
            finally:
                connection.close()

    thread = threading.Thread(target=renew, name=f"lease-{job.pk}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _open(job: Job) -> JobEngine:
    context = replace(engine_context(job.target), secrets=_secrets(job))
    return open_engine(engine_info(job.target), job.kind, context)


def _secrets(job: Job) -> dict[str, str]:
    """The secret that the job's spec names. One that is gone is left out: what runs goes on, and
    the engine refuses to start what needs it."""
    reference = str(job.spec.get("secret") or "")
    if not reference.startswith(SECRET_PREFIX):
        return {}
    try:
        return {reference: resolve_secret(reference, job.project)}
    except ValueError as error:
        log.info("job %s names a secret that cannot be had: %s", job.pk, error)
        return {}


def sweep() -> int:
    """What the tick calls every second: whatever is due is sent, once. Returns how many jobs.

    The nudge buys latency, the sweep buys certainty; either alone would be correct.
    """
    services.forget_lost_nudges(is_queue_empty=_queues_are_empty())
    launch_due_schedules()
    total = 0
    for queue, jobs in _grouped(services.due_unsent(SWEEP_LIMIT)):
        if (sent := _send_group(queue, jobs)) is None:
            # The broker is away: the next sweep tries again, and this one wastes no more time.
            break
        total += sent
    for target_id in Target.objects.due().values_list("pk", flat=True):
        if claim_check(target_id):
            dispatch.send(dispatch.RECONCILE, [target_id], queue=dispatch.SHARED_QUEUE)
    services.delete_ephemeral()
    return total


def _queues_are_empty() -> bool:
    hosts = Job.objects.filter(next_poll_at__isnull=False).exclude(worker_host="")
    names = [
        dispatch.host_queue(name) for name in hosts.values_list("worker_host", flat=True).distinct()
    ]
    depth = dispatch.queue_depth([dispatch.SHARED_QUEUE, dispatch.INTERACTIVE_QUEUE, *names])
    return depth == 0


def _grouped(jobs: Iterable[Job]) -> Iterator[tuple[str, list[Job]]]:
    """Jobs that can share a nudge: same queue, and, so that they can share a question to the
    engine, same target and kind."""
    groups: dict[tuple[str, int, str, bool], list[Job]] = {}
    for job in jobs:
        is_running = job.state == State.RUNNING
        key = (services.queue_of(job), job.target_id, job.kind, is_running)
        groups.setdefault(key, []).append(job)
    for (queue, _, _, is_running), members in groups.items():
        # Queued jobs go in small lots, so that many workers share a burst of them.
        size = RUNNING_PER_NUDGE if is_running else QUEUED_PER_NUDGE
        for start in range(0, len(members), size):
            yield queue, members[start : start + size]


def _send_group(queue: str, jobs: list[Job]) -> int | None:
    """How many of these jobs were ours to send; None when the broker took none."""
    ours = services.mark_sent(jobs)
    if ours and not dispatch.send(dispatch.ADVANCE, [[str(job.pk) for job in ours]], queue=queue):
        services.unmark_sent(ours)
        return None
    return len(ours)


@shared_task(name=dispatch.RECONCILE, ignore_result=True)
def reconcile(target_id: int) -> None:
    """Look at a thing that does not end and write what is seen beside what is wanted."""
    target = Target.objects.get(pk=target_id)
    try:
        check = check_target(engine_info(target), engine_context(target))
    except (EngineError, EngineUnavailable) as error:
        check = TargetCheck("unreachable", str(error))
    record_check(target, check)
