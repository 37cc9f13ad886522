"""A process that sweeps schedules, told when over a pipe: `python -m tests.schedules.racing`.

Lines in: `setup <count>`, `sweep`, `jobs`; each is answered with a number.
"""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.utils import timezone  # noqa: E402

from apps.accounts.models import User  # noqa: E402
from apps.jobs.models import Job  # noqa: E402
from apps.jobs.services import create_job  # noqa: E402
from apps.pipelines.models import Pipeline  # noqa: E402
from apps.projects.services import create_project  # noqa: E402
from apps.schedules.models import Schedule  # noqa: E402
from apps.schedules.services import create_schedule  # noqa: E402
from apps.targets.services import get_local_target  # noqa: E402
from workers.schedules import launch_due_schedules  # noqa: E402


def setup(count: int) -> int:
    call_command("migrate", verbosity=0)
    user = User.objects.create(email="a@example.com", name="A")
    project = create_project(name="Race", user=user)
    Pipeline.objects.create(project=project, slug="line")
    subject = {"kind": "pipeline", "name": "line"}
    for number in range(count):
        definition = {"subject": subject, "every": {"hours": 1}}
        create_schedule(project, slug=f"s{number}", definition=definition, user=user)
    return Schedule.objects.update(next_run_at=timezone.now())


def launch(schedule: Schedule, user: User) -> Job:
    return create_job(
        "check",
        spec={"seconds": 0},
        target=get_local_target(),
        user=user,
        project=schedule.project,
        label=schedule.slug,
    )


def main() -> None:
    for line in sys.stdin:
        words = line.split()
        if words[0] == "setup":
            answer = setup(int(words[1]))
        elif words[0] == "sweep":
            answer = launch_due_schedules({"pipeline": launch})
        else:
            answer = Job.objects.count()
        print(answer, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
