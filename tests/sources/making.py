"""Uploads, sources, datasets and versions for tests, with real files behind them."""

import hashlib
from typing import Any
from uuid import uuid4

import pyarrow as pa
from django.utils import timezone

from apps.jobs.models import Job, State
from apps.projects.models import Project
from apps.sources.models import Dataset, DatasetVersion, Source, Upload
from apps.targets.services import get_local_target
from runtime.data.delta import write_version
from runtime.data.profile import profile_table
from tests.servers import wait_until
from workers.tasks import advance

CSV: dict[str, Any] = {"kind": "csv"}
TABLE = pa.table({"household_id": [1, 2, 3], "spend": [1.5, None, 3.0], "name": ["a", "b", None]})


def make_upload(
    project: Project, content: bytes = b"a,b\n1,x\n2,y\n", name: str = "d.csv"
) -> Upload:
    """An upload with its file, as if it had been sent."""
    upload = Upload.objects.create(
        project=project,
        name=name,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    upload.path.parent.mkdir(parents=True, exist_ok=True)
    upload.path.write_bytes(content)
    return upload


def upload_definition(upload: Upload, form: dict[str, Any] | None = None, **more: Any) -> Any:
    connection = {"kind": "upload", "upload": str(upload.uuid)}
    return {"connection": connection, "format": form or CSV, **more}


def make_source(project: Project, definition: Any = None, slug: str = "orders") -> Source:
    """A source as it is kept; of a small CSV upload if nothing else is said."""
    definition = definition or upload_definition(make_upload(project))
    return Source.objects.create(project=project, slug=slug, definition=definition)


def make_dataset(project: Project, source: Source | None = None, slug: str = "orders") -> Dataset:
    return Dataset.objects.create(project=project, slug=slug, source=source)


def make_version(dataset: Dataset, table: pa.Table = TABLE) -> DatasetVersion:
    """A version that is really there."""
    key = f"{uuid4()}/{dataset.slug}"
    written = write_version(str(dataset.path), table.to_reader(), commit_key=key)
    return DatasetVersion.objects.create(
        dataset=dataset,
        number=written.number,
        columns=written.columns,
        profile=profile_table(table),
        row_count=written.rows,
        size_bytes=written.size_bytes,
        origin_kind="pipeline_run",
        origin_id=uuid4(),
        commit_key=key,
    )


def finish(job: Job, seconds: float = 60) -> Job:
    """Be the worker for one job, until it has ended."""

    def has_ended() -> bool:
        Job.objects.filter(pk=job.pk, finished_at=None).update(next_poll_at=timezone.now())
        advance([str(job.pk)])
        job.refresh_from_db()
        return job.is_final

    wait_until(has_ended, seconds=seconds, what="the job to end")
    return job


def ended_job(project: Project, **fields: Any) -> Job:
    ended = {"state": State.SUCCEEDED, "finished_at": timezone.now(), "next_poll_at": None}
    named = {"kind": "ingest", "label": "Ingest", "target": get_local_target()}
    return Job.objects.create(project=project, **{**named, **ended, **fields})


def make_addressed(project: Project) -> dict[str, str]:
    """One of each thing, for tests that ask every address. What would wait for a worker is made so
    that it is refused first: the source's folder is not there."""
    missing = {"kind": "folder", "path": "nowhere", "pattern": "*.csv"}
    source = make_source(project, {"connection": missing, "format": CSV}, slug="spare")
    dataset = make_dataset(project, slug="features")
    return {
        "upload": str(make_upload(project).uuid),
        "source": str(source.uuid),
        "dataset": str(dataset.uuid),
        "dataset_version": str(make_version(dataset).uuid),
    }
