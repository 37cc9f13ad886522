"""Questions with an answer at once: an ephemeral job, answered by a warm, confined process."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from redis.exceptions import RedisError

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.jobs import dispatch
from apps.jobs.models import Job, State
from apps.jobs.services import create_job
from apps.projects.models import Project
from apps.targets.models import Target
from runtime.definitions import ProbeSpec

LOOK_EVERY_SECONDS = 0.1
PROBE_SECONDS = 8.0


class NoAnswer(Conflict):
    """The question was not answered in time, or the answer is a refusal. The message is plain."""


def ask(
    kind: str,
    *,
    spec: Mapping[str, Any],
    target: Target,
    user: User,
    deadline: float,
    project: Project | None = None,
) -> dict[str, Any]:
    """Ask a target something and wait, at most `deadline` seconds, for its answer (the outputs).

    Not inside a transaction: the worker must see the row. Raise NoAnswer. The row is deleted
    later by the sweep; an unanswered question is called off.
    """
    job = create_job(
        kind, spec=spec, target=target, user=user, project=project, label=kind, is_ephemeral=True
    )
    _wait(job, deadline)
    job.refresh_from_db()
    if job.state == State.SUCCEEDED:
        return dict(job.outputs)
    if job.is_final:
        raise NoAnswer(job.message or "The target could not answer. Look at its page for why.")
    now = timezone.now()
    Job.objects.filter(pk=job.pk, finished_at__isnull=True).update(
        cancel_requested_at=now, give_up_at=now
    )
    raise NoAnswer(
        f"{target.name} did not answer within {deadline:g} seconds. Try again in a moment; if it "
        "stays silent, ask a site admin whether a worker is running."
    )


def _wait(job: Job, deadline: float) -> None:
    ends = time.monotonic() + deadline
    try:
        dispatch.wait_answer(str(job.pk), deadline)
    except (RedisError, OSError):
        # No broker to push the answer: look for it instead.
        while time.monotonic() < ends:
            if Job.objects.filter(pk=job.pk, finished_at__isnull=False).exists():
                return
            time.sleep(LOOK_EVERY_SECONDS)


def probe_target(slug: str, *, user: User) -> dict[str, Any]:
    """Ask a target's warm, confined process what it is. Raise ValidationError, NoAnswer."""
    target = Target.objects.filter(slug=slug).first()
    if target is None:
        raise ValidationError({"target": "There is no such target. See the list of targets."})
    began = time.monotonic()
    answer = ask(
        "probe", spec=asdict(ProbeSpec()), target=target, user=user, deadline=PROBE_SECONDS
    )
    return {"target": slug, "seconds": round(time.monotonic() - began, 3), "answer": answer}
