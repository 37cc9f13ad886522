"""A schedule for tests' addresses."""

from typing import Any

from apps.accounts.models import User
from apps.pipelines.models import Pipeline
from apps.projects.models import Project
from apps.schedules.services import create_schedule

WEEKLY: dict[str, Any] = {"subject": {"kind": "pipeline", "name": "clocked"}, "cron": "0 6 * * 1"}


def make_addressed(project: Project, user: User) -> dict[str, str]:
    Pipeline.objects.create(project=project, slug="clocked")
    schedule = create_schedule(project, slug="weekly", definition=WEEKLY, user=user)
    spare = create_schedule(project, slug="spare", definition=WEEKLY, user=user)
    return {"schedule": str(schedule.uuid), "spare_schedule": str(spare.uuid)}
