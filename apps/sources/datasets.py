"""Datasets and their versions: found, made, and recorded when a job has written one."""

import uuid as uuids
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from apps.accounts.models import User
from apps.events.services import record_event
from apps.jobs.models import Job
from apps.projects.models import Project, Role
from apps.projects.services import require_open, require_role
from apps.sources.models import ColumnEdge, Dataset, DatasetVersion, Source

MAX_COLUMNS = 2_000


def get_dataset(project: Project, slug: str, *, field: str = "dataset") -> Dataset:
    """The project's dataset of this slug. Raise ValidationError for `field` where there is none."""
    dataset = Dataset.objects.filter(project=project, slug=slug).first()
    if dataset is None:
        raise ValidationError(
            {field: f"{project.name} has no dataset “{slug}”. See its list of datasets."}
        )
    return dataset


def get_version(
    project: Project, slug: str, number: int | None = None, *, field: str = "dataset"
) -> DatasetVersion:
    """One version of the project's dataset, the latest without a number; all that is pinned by a
    run comes through here. Raise ValidationError for `field` where there is none."""
    dataset = get_dataset(project, slug, field=field)
    versions = dataset.versions.select_related("dataset__project")
    found = versions.first() if number is None else versions.filter(number=number).first()
    if found is None:
        which = "no version yet" if number is None else f"no version {number}"
        raise ValidationError(
            {field: f"Dataset “{slug}” has {which}. Ingest it, or run the pipeline that writes it."}
        )
    return found


@transaction.atomic
def create_dataset(
    project: Project,
    *,
    slug: str,
    source: Source | None = None,
    description: str = "",
    user: User,
) -> Dataset:
    """Name a dataset, filled from `source` or, without one, by pipelines. Contributors only."""
    require_role(user, project, Role.CONTRIBUTOR)
    require_open(project)
    dataset = Dataset(
        project=project, slug=slug, source=source, description=description, created_by=user
    )
    dataset.full_clean(exclude=["created_by"])
    dataset.save()
    after = {"slug": slug, "source": source.slug if source else None}
    _tell("dataset.created", dataset, user, after=after)
    return dataset


@transaction.atomic
def update_dataset(
    dataset: Dataset, *, source: Source | None, description: str, user: User
) -> Dataset:
    """Fill it from another source, or by pipelines, from now on; versions there stay.
    Contributors only."""
    require_role(user, dataset.project, Role.CONTRIBUTOR)
    require_open(dataset.project)
    before = {"source": dataset.source.slug if dataset.source else None}
    before["description"] = dataset.description
    dataset.source, dataset.description = source, description
    dataset.full_clean(exclude=["created_by"])
    dataset.save(update_fields=["source", "description"])
    after = {"source": source.slug if source else None, "description": description}
    if before != after:
        _tell("dataset.updated", dataset, user, after)
    return dataset


@transaction.atomic
def ensure_dataset(project: Project, slug: str, *, user: User, description: str = "") -> Dataset:
    """The dataset a pipeline writes: found, or made. Raise ValidationError when it is filled from
    a source: two writers would undo each other."""
    dataset = Dataset.objects.filter(project=project, slug=slug).first()
    if dataset is None:
        return create_dataset(project, slug=slug, description=description, user=user)
    if dataset.source_id is not None:
        raise ValidationError(
            {"dataset": f"“{slug}” is filled from a source. Have the pipeline write another."}
        )
    return dataset


@transaction.atomic
def record_version(
    dataset_uuid: object,
    said: Mapping[str, Any],
    *,
    job: Job,
    origin_kind: str,
    origin_id: uuids.UUID,
    inputs: Sequence[Mapping[str, str]] = (),
) -> DatasetVersion:
    """Note the version that `job` wrote and told of in its outputs (`datasets.<name>`).

    Said twice, it is noted once: the commit key is unique. `inputs` are {"dataset", "version"}
    uuids. Raise ValueError when what is said has not the shape it must have, or names a dataset
    of another project.
    """
    dataset = Dataset.objects.filter(uuid=_uuid(dataset_uuid), project=job.project).first()
    key = str(said.get("commit_key", ""))
    if dataset is None or not key.startswith(f"{job.pk}/") or len(key) > 120:
        raise ValueError(f"job {job.pk} told of a dataset version that cannot be its own")
    found = DatasetVersion.objects.filter(commit_key=key).first()
    if found is not None:
        return found
    version = DatasetVersion.objects.create(
        dataset=dataset,
        number=_count(said, "number"),
        columns=_columns(said.get("columns")),
        profile=_profile(said.get("profile")),
        row_count=_count(said, "rows"),
        size_bytes=_count(said, "size_bytes"),
        job=job,
        origin_kind=origin_kind,
        origin_id=origin_id,
        inputs=[dict(each) for each in inputs],
        commit_key=key,
    )
    after = {"version": version.number, "rows": version.row_count}
    _tell("dataset.version_added", dataset, job.created_by, after=after)
    return version


def add_column_edges(
    version: DatasetVersion, edges: Sequence[tuple[str, uuids.UUID, str, str, str]]
) -> None:
    """Lineage into the version: (kind, id, label, column of what it came from, own column)."""
    ColumnEdge.objects.bulk_create(
        ColumnEdge(
            project=version.dataset.project,
            from_kind=kind,
            from_id=from_id,
            from_label=label[:200],
            from_column=from_column[:255],
            to_kind="dataset_version",
            to_id=version.uuid,
            to_label=str(version)[:200],
            to_column=to_column[:255],
        )
        for kind, from_id, label, from_column, to_column in edges
    )


def _tell(verb: str, dataset: Dataset, actor: User | None, after: Mapping[str, Any]) -> None:
    record_event(
        verb,
        actor=actor,
        kind="dataset",
        id=dataset.uuid,
        label=dataset.slug,
        project_id=dataset.project.uuid,
        after=after,
    )


def _uuid(value: object) -> uuids.UUID:
    return value if isinstance(value, uuids.UUID) else uuids.UUID(str(value))


def _count(said: Mapping[str, Any], name: str) -> int:
    value = said.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**62:
        raise ValueError(f"a dataset version's {name} is not a count")
    return value


def _columns(value: object) -> list[dict[str, str]]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_COLUMNS:
        raise ValueError("a dataset version's columns are no list")
    if not all(isinstance(each, dict) and {"name", "type"} <= each.keys() for each in value):
        raise ValueError("a dataset version's columns have no names and types")
    return [{"name": str(each["name"]), "type": str(each["type"])} for each in value]


def _profile(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
