"""Datasets and runs for tests: real Delta tables, real jobs."""

import uuid
from typing import Any

import numpy as np
import pyarrow as pa
from django.utils import timezone

from apps.accounts.models import User
from apps.experiments.models import Artifact, Experiment, Metric, Run, Tag
from apps.experiments.services import create_experiment, launch_run
from apps.jobs.models import Job
from apps.projects.models import Project
from apps.sources.models import Dataset, DatasetVersion
from runtime.data.delta import columns_of, write_version
from tests.servers import wait_until
from workers.tasks import advance

DEFINITION: dict[str, Any] = {
    "dataset": "households",
    "target": "churned",
    "task": "classification",
    "keys": ["household_id", "week"],
    "split": {"by": "time", "column": "week", "train_until": 36, "test_from": 44},
    "baselines": ["visits"],
    "algorithm": "logistic",
}


def make_table(rows: int = 3_000, seed: int = 0, **more: Any) -> pa.Table:
    """Households by week: more visits, less churn. `more` columns are added."""
    draw = np.random.default_rng(seed)
    visits = draw.poisson(4, rows)
    spend = draw.gamma(2, 30, rows)
    score = draw.normal(size=rows) - 0.5 * visits + 0.01 * spend
    columns = {
        "household_id": draw.integers(1, 500, rows),
        "week": draw.integers(1, 53, rows).astype("int32"),
        "visits": visits,
        "spend": pa.array(np.where(draw.random(rows) < 0.1, np.nan, spend), from_pandas=True),
        "age": pa.array(draw.choice(["19-24", "25-34", "65+"], rows).tolist()),
        "has_coupon": draw.random(rows) < 0.3,
        "churned": score > -1,
    }
    return pa.table({**columns, **more})


def make_dataset(project: Project, table: pa.Table, slug: str = "households") -> DatasetVersion:
    """One more version of the project's dataset, on disk and as a row."""
    dataset, _ = Dataset.objects.get_or_create(project=project, slug=slug)
    dataset.path.mkdir(parents=True, exist_ok=True)
    key = f"{uuid.uuid4()}/{slug}"
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches())
    written = write_version(str(dataset.path), reader, commit_key=key, metadata={})
    return DatasetVersion.objects.create(
        dataset=dataset,
        number=written.number,
        columns=columns_of(table.schema),
        row_count=len(table),
        size_bytes=written.size_bytes,
        origin_kind="source",
        origin_id=uuid.uuid4(),
        commit_key=key,
    )


def make_run(project: Project, user: User, name: str = "", **changes: Any) -> Run:
    """A run just launched, of the experiment `churn`, which is made when it is not there."""
    experiment = Experiment.objects.filter(project=project, slug="churn").first()
    if experiment is None:
        experiment = create_experiment(project, slug="churn", user=user)
    return launch_run(experiment, definition={**DEFINITION, **changes}, name=name, user=user)


def finish(run: Run, seconds: float = 180) -> Run:
    """Take the worker's steps until the run's job has ended."""

    def has_ended() -> bool:
        Job.objects.filter(pk=run.job_id, finished_at=None).update(next_poll_at=timezone.now())
        advance([str(run.job_id)])
        return Job.objects.get(pk=run.job_id).is_final

    wait_until(has_ended, seconds=seconds, what="the training to end")
    return Run.objects.select_related("job").get(pk=run.pk)


def make_told_run(project: Project, user: User) -> Run:
    """A run as it is once it has ended, without the training: a metric, a tag and a report."""
    if not Dataset.objects.filter(project=project, slug="households").exists():
        make_dataset(project, make_table(100))
    run = make_run(project, user)
    path = run.artifact_path / "reports" / "roc.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"splits": {}}')
    Artifact.objects.create(run=run, path="reports/roc.json", size_bytes=14, sha256="0" * 64)
    Metric.objects.create(run=run, key="test.auc", value=0.75, is_last=True)
    Tag.objects.create(run=run, key="note", value="first")
    return run
