"""A process of the portal that tests steer over a pipe: one JSON request a line, one answer a line.

It has the portal's own settings, so the same test drives SQLite with Valkey and PostgreSQL with
Redis. Run as `python -m tests.jobs.driver`.
"""

import datetime as dt
import json
import os
import sys
import uuid
from collections.abc import Callable
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import F  # noqa: E402
from django.utils import timezone  # noqa: E402

from apps.accounts.models import User  # noqa: E402
from apps.jobs import services  # noqa: E402
from apps.jobs.models import Job  # noqa: E402
from apps.targets.models import Target  # noqa: E402
from workers import tasks  # noqa: E402


def setup(folder: str) -> None:
    call_command("migrate", verbosity=0)
    Target.objects.create(slug="ledger", name="L", engine="ledger", options={"folder": folder})
    Target.objects.filter(slug="local").update(next_check_at=None)
    User.objects.create(email="admin@example.com", name="Admin", is_site_admin=True)


def launch(count: int, *, is_quiet: bool = False) -> list[str]:
    """Launch jobs; quietly means without a nudge, as if every one of them were lost."""
    target = Target.objects.get(slug="ledger")
    ids = []
    for number in range(count):
        job = services.create_job(
            "check", spec={"seconds": 0}, target=target, user=None, label=f"Job {number}"
        )
        ids.append(str(job.pk))
    if is_quiet:
        Job.objects.filter(pk__in=ids).update(sent_at=None)
    return ids


def launch_many(count: int) -> int:
    """Due rows by the thousand, nobody told of any."""
    target = Target.objects.get(slug="ledger")
    rows = (Job(kind="check", target=target, label=f"Job {n}", spec={}) for n in range(count))
    return len(Job.objects.bulk_create(rows, batch_size=1000))


def states() -> dict[str, int]:
    """How many jobs are in each state."""
    counted: dict[str, int] = {}
    for state in Job.objects.values_list("state", flat=True):
        counted[state] = counted.get(state, 0) + 1
    return counted


def events() -> dict[str, list[str]]:
    """Each job's states in the order its events tell them."""
    told: dict[str, list[str]] = {}
    for job in Job.objects.prefetch_related("events"):
        told[str(job.pk)] = [event.state for event in job.events.all()]
    return told


def cancel_all() -> int:
    admin = User.objects.get(is_site_admin=True)
    jobs = list(Job.objects.filter(finished_at=None))
    for job in jobs:
        services.request_cancel(job, user=admin)
    return len(jobs)


def end_time() -> int:
    """Let every deadline have passed, and every look be due."""
    now = timezone.now()
    return Job.objects.filter(finished_at=None).update(give_up_at=now, next_poll_at=now)


def step_clock_back(hours: int) -> int:
    """Every time of an unfinished job lies so much ahead now, and a dead worker holds it."""
    ahead = dt.timedelta(hours=hours)
    jobs = Job.objects.filter(finished_at=None)
    times = {name: F(name) + ahead for name in ("created_at", "next_poll_at", "sent_at")}
    return jobs.update(**times, claim=uuid.uuid4())


def unreachable() -> int:
    return Job.objects.filter(reachable=False).count()


def unsent() -> int:
    """Due jobs that nobody has been told of yet."""
    return len(services.due_unsent(20_000))


def sweep() -> int:
    return tasks.sweep()


ANSWERS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        setup,
        launch,
        launch_many,
        states,
        unreachable,
        events,
        cancel_all,
        end_time,
        step_clock_back,
        sweep,
        unsent,
    )
}


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"answer": ANSWERS[request.pop("ask")](**request)}
        except django.db.Error as error:
            answer = {"error": str(error)}
        finally:
            connection.close()
        print(json.dumps(answer), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
