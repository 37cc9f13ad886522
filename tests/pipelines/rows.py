"""A pipeline with a version and a run, for tests that ask every address."""

from typing import Any

from apps.accounts.models import User
from apps.pipelines.definitions import create_pipeline
from apps.pipelines.services import launch_run
from apps.projects.models import Project
from tests.sources.making import make_dataset, make_version

MONTHLY: dict[str, Any] = {
    "steps": {
        "receipts": {"operation": "read", "dataset": "receipts"},
        "known": {"operation": "filter", "input": "receipts", "where": "name is not null"},
        "save": {"operation": "write", "input": "known", "dataset": "monthly"},
    }
}


def make_addressed(project: Project, user: User) -> dict[str, str]:
    """One of each thing; the run is queued, and nobody runs it."""
    make_version(make_dataset(project, slug="receipts"))
    pipeline = create_pipeline(project, slug="monthly", definition=MONTHLY, user=user)
    run = launch_run(pipeline, user=user)
    return {
        "pipeline": str(pipeline.uuid),
        "pipeline_version": str(run.version.uuid),
        "pipeline_run": str(run.uuid),
    }
