"""A pipeline's processes killed at any moment: what it writes comes out once, and whole."""

import os
import signal
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from apps.accounts.models import User
from apps.jobs.models import Job
from apps.pipelines.models import PipelineRun
from apps.pipelines.services import launch_run
from apps.projects.models import Project, Role
from apps.sources.models import Dataset, DatasetVersion
from runtime.data.delta import PENDING
from runtime.files import read_json
from runtime.processes import marked
from tests.factories import make_member, make_project
from tests.pipelines.making import finish, make_pipeline, make_tables, rows_of, steps
from tests.servers import wait_until
from workers.engines.local.processes import MARK
from workers.tasks import advance

pytestmark = [pytest.mark.django_db, pytest.mark.process]
# Long enough to be killed in.
SLOW = {
    "operation": "sql",
    "inputs": ["sales"],
    "query": "select household, range as n, hash(range) % 1000 as h from sales, range(60000)"
    " order by h, n",
}


@pytest.fixture
def project() -> Project:
    project = make_project()
    make_tables(project)
    return project


@pytest.fixture
def user(project: Project) -> User:
    return make_member(project, Role.CONTRIBUTOR)


def start(project: Project, user: User) -> PipelineRun:
    definition = steps(slow=SLOW)
    definition["steps"]["save"]["mode"] = "append"
    return launch_run(make_pipeline(project, user, definition), user=user)


def look(run: PipelineRun) -> None:
    Job.objects.filter(pk=run.job_id, finished_at=None).update(next_poll_at=timezone.now())
    advance([str(run.job_id)])


def job_folder(run: PipelineRun) -> Path:
    return Path(settings.VAR_DIR) / "jobs" / str(run.job_id)


def is_at(run: PipelineRun, moment: str) -> bool:
    """Whether the job's process is up, has begun to read, or has begun to write."""
    if moment == "up":
        return bool(marked(MARK, str(run.job_id)))
    if moment == "reading":
        log = job_folder(run) / "log.txt"
        return log.exists() and "sales (read)" in log.read_text()
    return (Path(run.job.spec["outputs"]["save"]["path"]) / PENDING).exists()


def kill_child(run: PipelineRun, moment: str) -> None:
    """Kill the job's own process, not its runner, at that moment."""

    def is_there() -> bool:
        look(run)
        return is_at(run, moment)

    wait_until(is_there, seconds=30, what=f"the pipeline's process to be {moment}")
    runner = read_json(str(job_folder(run) / "runner.json")) or {}
    for each in marked(MARK, str(run.job_id)):
        if each.pid != runner.get("pid"):
            os.kill(each.pid, signal.SIGKILL)


def assert_written_once(project: Project, run: PipelineRun) -> None:
    assert run.job.state == "succeeded", run.job.message
    assert DatasetVersion.objects.filter(dataset__slug="made").count() == 1
    assert len(rows_of(project, "made")) == 7 * 60_000
    path = Dataset.objects.get(project=project, slug="made").path
    assert len(list((path / "_delta_log").glob("*.json"))) == 1


@pytest.mark.parametrize("moment", ["up", "reading", "writing"])
def test_killed_child_is_begun_again_and_writes_once(
    project: Project, user: User, moment: str
) -> None:
    run = start(project, user)
    kill_child(run, moment)
    assert_written_once(project, finish(run))


def test_killed_runner_is_begun_again_and_writes_once(project: Project, user: User) -> None:
    run = start(project, user)
    look(run)
    wait_until(lambda: is_at(run, "reading"), seconds=30, what="the pipeline to read")
    runner = read_json(str(job_folder(run) / "runner.json"))
    assert runner
    os.kill(runner["pid"], signal.SIGKILL)
    assert_written_once(project, finish(run))


def test_killed_after_the_commit_finds_what_was_written(project: Project, user: User) -> None:
    """The commit is there, the word of it is not: the second beginning adds nothing."""
    run = start(project, user)
    path = Dataset.objects.get(project=project, slug="made").path

    def has_committed() -> bool:
        look(run)
        return (path / "_delta_log" / "00000000000000000000.json").exists()

    wait_until(has_committed, seconds=60, what="the commit")
    for each in marked(MARK, str(run.job_id)):
        os.kill(each.pid, signal.SIGKILL)
    assert_written_once(project, finish(run))
