"""Nudges: telling a worker, by name and over the broker, that a job is worth a look.

A nudge may be lost, doubled or late without harm: workers claim rows, and the sweep nudges again.
"""

import logging
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, cast

import redis
from django.conf import settings
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger(__name__)

ADVANCE = "workers.tasks.advance"
RECONCILE = "workers.tasks.reconcile"
SHARED_QUEUE = "jobs"
INTERACTIVE_QUEUE = "interactive"
ANSWER_SECONDS = 60


def host_queue(host: str) -> str:
    """The queue only this host's worker reads: its local jobs cannot be followed elsewhere."""
    return f"host.{host}"


@cache
def _producer() -> "Celery":
    # Imported when first needed: a page that launches nothing need not pay for Celery.
    from celery import Celery

    app = Celery("portolan-nudge", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    return app


@cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, decode_responses=True)


def send(task: str, args: Sequence[object], *, queue: str) -> bool:
    """Send one nudge. False when the broker cannot be reached; never raises, never waits long."""
    try:
        _producer().send_task(task, args=list(args), queue=queue, retry=False, ignore_result=True)
    except (OperationalError, RedisError, OSError) as error:
        log.warning("broker unreachable, the sweep will send again: %s", error)
        return False
    return True


def queue_depth(queues: Sequence[str]) -> int | None:
    """Messages waiting in these queues, None when the broker cannot be asked."""
    try:
        with _redis().pipeline(transaction=False) as pipeline:
            for queue in queues:
                pipeline.llen(queue)
            return sum(cast("list[int]", pipeline.execute()))
    except (RedisError, OSError):
        return None


def push_answer(job_id: str) -> None:
    """Tell whoever waits in `ask` that the row now has the answer."""
    try:
        with _redis().pipeline() as pipeline:
            pipeline.lpush(f"portolan:answer:{job_id}", "done")
            pipeline.expire(f"portolan:answer:{job_id}", ANSWER_SECONDS)
            pipeline.execute()
    except (RedisError, OSError) as error:
        log.warning("broker unreachable, the answer is found by looking: %s", error)


def wait_answer(job_id: str, seconds: float) -> bool:
    """Wait for `push_answer`. False when it did not come; raises RedisError when it cannot."""
    connection = redis.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=seconds + 1
    )
    with connection:
        return connection.brpop([f"portolan:answer:{job_id}"], timeout=seconds) is not None
