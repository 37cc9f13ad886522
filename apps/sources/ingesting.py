"""Reading sources into datasets as jobs, and rows of datasets as questions."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.db import transaction

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.jobs.asking import ask
from apps.jobs.models import Job, State
from apps.jobs.services import create_job
from apps.projects.models import Role
from apps.projects.services import require_role
from apps.schedules.models import Schedule
from apps.sources.datasets import add_column_edges, record_version
from apps.sources.models import ColumnEdge, Dataset, DatasetVersion
from apps.sources.places import reach
from apps.sources.sources import raise_refusal, read_definition
from apps.targets.services import get_local_target
from runtime.definitions import IngestSpec, ReadRowsSpec

READ_SECONDS = 12.0
MAX_ROWS = 1_000
SchemaChange = Literal["refuse", "accept"]


@transaction.atomic
def launch_ingest(dataset: Dataset, *, schema_change: SchemaChange = "refuse", user: User) -> Job:
    """Read the dataset's source into its next version. Contributors only.

    Raise Conflict while another ingest of it is under way or when pipelines fill it,
    ValidationError when its source cannot be reached as it is defined.
    """
    require_role(user, dataset.project, Role.CONTRIBUTOR)
    # Locked, so that two launches at one moment see each other.
    dataset = (
        Dataset.objects.select_for_update(of=("self",)).select_related("project").get(pk=dataset.pk)
    )
    source = dataset.source
    if source is None:
        raise Conflict(f"“{dataset.slug}” is filled by pipelines. Run the one that writes it.")
    unfinished = Job.objects.filter(
        kind="ingest", project=dataset.project, finished_at=None, spec__dataset=str(dataset.uuid)
    )
    if unfinished.exists():
        raise Conflict(f"“{dataset.slug}” is being ingested. Wait for that job, or cancel it.")
    latest = dataset.versions.first()
    spec = IngestSpec(
        definition=source.definition,
        dataset=str(dataset.uuid),
        dataset_slug=dataset.slug,
        table=str(dataset.path),
        columns=latest.columns if latest else [],
        schema_change=schema_change,
        **reach(source, read_definition(source.definition)),
    )
    return create_job(
        "ingest",
        spec=asdict(spec),
        target=get_local_target(),
        user=user,
        project=dataset.project,
        label=f"Ingest {source.slug} into {dataset.slug}",
    )


def launch_scheduled_ingest(schedule: Schedule) -> Job:
    """What a schedule of an ingest does, as its principal, whose role is looked at again."""
    dataset = Dataset.objects.select_related("project", "source").get(uuid=schedule.subject_id)
    change: SchemaChange = (
        "accept" if schedule.parameters.get("schema_change") == "accept" else "refuse"
    )
    return launch_ingest(dataset, schema_change=change, user=schedule.principal)


def finish_ingest(job: Job) -> None:
    """Record the version an ended ingest wrote, and where each column came from. In the
    transaction that ends the job; done twice, it changes nothing."""
    said = job.outputs.get("datasets")
    if job.state != State.SUCCEEDED or not isinstance(said, dict):
        return
    dataset = Dataset.objects.select_related("project", "source").get(uuid=job.spec["dataset"])
    source = dataset.source
    for each in said.values():
        if source is None or not isinstance(each, dict):
            continue
        version = record_version(
            dataset.uuid, each, job=job, origin_kind="source", origin_id=source.uuid
        )
        if not ColumnEdge.objects.filter(to_id=version.uuid).exists():
            names = [str(column["name"]) for column in version.columns]
            add_column_edges(
                version, [("source", source.uuid, source.slug, name, name) for name in names]
            )
    # Kept once: profiles are large, and the version has it.
    slim = {
        name: {key: value for key, value in each.items() if key != "profile"}
        for name, each in said.items()
        if isinstance(each, dict)
    }
    Job.objects.filter(pk=job.pk).update(outputs={**job.outputs, "datasets": slim})


def read_rows(
    version: DatasetVersion,
    *,
    limit: int = 20,
    where: Mapping[str, str] | None = None,
    user: User,
) -> dict[str, Any]:
    """The version's first rows, or those whose columns equal `where` (values as text, "" is
    null): {"rows", "is_cut"}. Viewers may. Raise ValidationError for an unknown column or a value
    that is not of its type, NoAnswer."""
    require_role(user, version.dataset.project, Role.VIEWER)
    if not 1 <= limit <= MAX_ROWS:
        raise ValidationError({"limit": f"Ask for 1 to {MAX_ROWS:,} rows."})
    known = {str(column["name"]) for column in version.columns}
    for name in where or {}:
        if name not in known:
            raise ValidationError({"where": f"This version has no column “{name}”."})
    spec = ReadRowsSpec(
        path=str(version.dataset.path), number=version.number, limit=limit, where=dict(where or {})
    )
    # Of no project: an archived one's data may still be looked at.
    said = ask(
        "read_rows", spec=asdict(spec), target=get_local_target(), user=user, deadline=READ_SECONDS
    )
    raise_refusal(said)
    return {name: said[name] for name in ("rows", "is_cut")}
