"""Datasets and pipelines for tests: real Delta tables, real jobs."""

from typing import Any

import pyarrow as pa
from django.utils import timezone

from apps.accounts.models import User
from apps.jobs.models import Job
from apps.pipelines.definitions import create_pipeline
from apps.pipelines.models import Pipeline, PipelineRun
from apps.pipelines.services import launch_run
from apps.projects.models import Project
from apps.sources.models import Dataset, DatasetVersion
from tests.servers import wait_until
from tests.sources.making import make_dataset, make_version
from workers.tasks import advance

SALES = pa.table(
    {
        "household": [1, 1, 2, 2, 3, 3, 3],
        "week": [1, 2, 1, 3, 1, 2, 3],
        "spend": [10.0, 20.0, 5.0, None, 7.5, 2.5, 90.0],
        "product": ["a", "b", "a", "c", "a", "b", "z"],
    }
)
PRODUCTS = pa.table({"product": ["a", "b", "c"], "department": ["food", "food", "garden"]})
READ = {"operation": "read", "dataset": "sales"}
DEFINITION: dict[str, Any] = {
    "parameters": {"least": 3},
    "steps": {
        "sales": READ,
        "products": {"operation": "read", "dataset": "products"},
        "bought": {"operation": "filter", "input": "sales", "where": "spend > $least"},
        "placed": {
            "operation": "join",
            "left": "bought",
            "right": "products",
            "how": "left",
            "keys": ["product"],
        },
        "weekly": {
            "operation": "aggregate",
            "input": "placed",
            "group_by": ["household"],
            "columns": {"total": "sum(spend)", "visits": "count(*)"},
        },
        "sound": {
            "operation": "check",
            "input": "weekly",
            "rules": [{"rule": "unique", "columns": ["household"]}],
        },
        "save": {"operation": "write", "input": "sound", "dataset": "totals"},
    },
}


def steps(**changes: Any) -> dict[str, Any]:
    """A definition that reads `sales`, does these steps, and writes what `last` gives."""
    last = list(changes)[-1] if changes else "sales"
    save = {"operation": "write", "input": last, "dataset": "made"}
    return {"steps": {"sales": READ, **changes, "save": save}}


def make_tables(project: Project) -> dict[str, DatasetVersion]:
    """The project's datasets `sales` and `products`, a version each."""
    return {
        "sales": make_version(make_dataset(project, slug="sales"), SALES),
        "products": make_version(make_dataset(project, slug="products"), PRODUCTS),
    }


def make_pipeline(
    project: Project, user: User, definition: Any = None, slug: str = "totals"
) -> Pipeline:
    return create_pipeline(project, slug=slug, definition=definition or DEFINITION, user=user)


def finish(run: PipelineRun, seconds: float = 60) -> PipelineRun:
    """Take the worker's steps until the run's job has ended."""

    def has_ended() -> bool:
        Job.objects.filter(pk=run.job_id, finished_at=None).update(next_poll_at=timezone.now())
        advance([str(run.job_id)])
        return Job.objects.get(pk=run.job_id).is_final

    wait_until(has_ended, seconds=seconds, what="the run to end")
    return PipelineRun.objects.select_related("job", "version__pipeline").get(pk=run.pk)


def run_pipeline(project: Project, user: User, definition: Any, **more: Any) -> PipelineRun:
    """A new pipeline of this definition, run to its end."""
    number = Pipeline.objects.filter(project=project).count()
    pipeline = make_pipeline(project, user, definition, slug=f"try-{number}")
    return finish(launch_run(pipeline, user=user, **more))


def rows_of(project: Project, slug: str) -> list[dict[str, Any]]:
    """The rows of the newest version of a dataset, in any order."""
    from runtime.data.delta import open_dataset

    dataset = Dataset.objects.get(project=project, slug=slug)
    version = dataset.versions.first()
    assert version is not None
    found: list[dict[str, Any]] = (
        open_dataset(str(dataset.path), version.number).to_table().to_pylist()
    )
    return sorted(found, key=str)
