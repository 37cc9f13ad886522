"""What the sweep does with schedules that are due."""

import logging
from collections.abc import Mapping

from apps.accounts.models import User
from apps.monitoring.services import launch_scheduled_evaluation
from apps.pipelines.services import launch_scheduled_run
from apps.schedules.models import Schedule
from apps.schedules.services import Launch, launch_if_ours, note_bug
from apps.sources.ingesting import launch_scheduled_ingest

log = logging.getLogger(__name__)
MOST_AT_ONCE = 500


def _launch_ingest(schedule: Schedule, user: User) -> object:
    return launch_scheduled_ingest(schedule)


# Subject kind → the stage's own launch, given (schedule, principal).
ON_SCHEDULE: dict[str, Launch] = {
    "ingest": _launch_ingest,
    "monitor": launch_scheduled_evaluation,
    "pipeline": launch_scheduled_run,
}


def launch_due_schedules(on_schedule: Mapping[str, Launch] = ON_SCHEDULE) -> int:
    """Launch each due schedule, once however many sweep at the same time. Returns how many were
    this sweep's."""
    total = 0
    due = Schedule.objects.due().filter(subject_kind__in=on_schedule).order_by("next_run_at")
    for schedule in due[:MOST_AT_ONCE]:
        try:
            total += launch_if_ours(schedule, on_schedule[schedule.subject_kind])
        except Exception:
            # A bug in one launch must not keep all others, and every job, from being swept.
            log.exception("bug while launching schedule %s", schedule.uuid)
            note_bug(schedule)
    return total
