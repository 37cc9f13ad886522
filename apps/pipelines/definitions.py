"""Pipelines and their versions: read, checked and kept. A version never changes."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max

from apps.accounts.models import User
from apps.events.services import record_event
from apps.pipelines.models import Pipeline, PipelineVersion
from apps.projects.models import Project, Role
from apps.projects.services import require_open, require_role
from apps.sources.models import DatasetVersion
from runtime.documents.base import DocumentError, validate_document
from runtime.documents.pipeline import PipelineDocument, ReadStep
from runtime.pipelines.graph import ordered, read, warnings

Schemas = dict[str, list[str]]


def read_document(definition: Any) -> PipelineDocument:
    """The definition as a document whose graph holds. Raise ValidationError, each message by its
    path (`definition.steps.clean.where`)."""
    try:
        document = validate_document(PipelineDocument, definition)
        ordered(document)
    except DocumentError as error:
        raise as_validation_error(error) from None
    return document


def as_validation_error(error: DocumentError) -> ValidationError:
    places = {path: f"definition.{path}" if path else "definition" for path in error.errors}
    return ValidationError({places[path]: text for path, text in error.errors.items()})


def known_schemas(project: Project, document: PipelineDocument) -> Schemas:
    """The columns of the datasets the document reads, as far as they have versions by now."""
    found: Schemas = {}
    for step in read(document).values():
        version = _version_for(project, step)
        if version is not None:
            found[step.dataset] = [str(each["name"]) for each in version.columns]
    return found


def _version_for(project: Project, step: ReadStep) -> DatasetVersion | None:
    versions = DatasetVersion.objects.filter(dataset__project=project, dataset__slug=step.dataset)
    if step.version is not None:
        versions = versions.filter(number=step.version)
    return versions.first()


def check_sql(document: PipelineDocument, schemas: Schemas) -> dict[str, Any]:
    """Check every piece of SQL, and columns where known; the column lineage. Raise
    ValidationError with every fault by its path."""
    # Costs a while to import, so only who saves a pipeline pays for it.
    from runtime.pipelines.lineage import Reader

    reader = Reader(document, schemas)
    try:
        reader.refuse()
    except DocumentError as error:
        raise as_validation_error(error) from None
    return dict(reader.lineage)


def warnings_of(version: PipelineVersion) -> list[str]:
    """What is odd in the definition, but may be meant."""
    return warnings(validate_document(PipelineDocument, version.definition))


@transaction.atomic
def create_pipeline(
    project: Project,
    *,
    slug: str,
    definition: Mapping[str, Any],
    description: str = "",
    user: User,
) -> Pipeline:
    """Make a pipeline with its first version. Contributors only. Datasets that it reads need not
    be there yet: columns are then checked when it is launched."""
    require_role(user, project, Role.CONTRIBUTOR)
    require_open(project)
    pipeline = Pipeline(project=project, slug=slug, description=description)
    pipeline.full_clean()
    pipeline.save()
    _tell("pipeline.created", pipeline, user, after={"slug": slug})
    add_version(pipeline, definition=definition, user=user)
    return pipeline


@transaction.atomic
def update_pipeline(pipeline: Pipeline, *, description: str, user: User) -> Pipeline:
    """Change the description. Contributors only."""
    require_role(user, pipeline.project, Role.CONTRIBUTOR)
    require_open(pipeline.project)
    before = pipeline.description
    pipeline.description = description
    pipeline.full_clean()
    pipeline.save(update_fields=["description"])
    if before != description:
        changes = {"before": {"description": before}, "after": {"description": description}}
        _tell("pipeline.updated", pipeline, user, **changes)
    return pipeline


@transaction.atomic
def add_version(
    pipeline: Pipeline, *, definition: Mapping[str, Any], user: User
) -> PipelineVersion:
    """The definition as the pipeline's newest version; the one there is, if it is the same.
    Contributors only. Raise ValidationError."""
    require_role(user, pipeline.project, Role.CONTRIBUTOR)
    require_open(pipeline.project)
    document = read_document(definition)
    lineage = check_sql(document, known_schemas(pipeline.project, document))
    kept: Any = document.model_dump(mode="json", exclude_unset=True)
    digest = digest_of(kept)
    # Locked, so that two who save at the same moment get two numbers.
    Pipeline.objects.select_for_update().get(pk=pipeline.pk)
    newest = pipeline.versions.first()
    if newest is not None and newest.digest == digest:
        return newest
    last = pipeline.versions.aggregate(last=Max("number"))["last"] or 0
    version = PipelineVersion.objects.create(
        pipeline=pipeline,
        number=last + 1,
        definition=kept,
        digest=digest,
        lineage=lineage,
        created_by=user,
    )
    _tell("pipeline.version_added", pipeline, user, after={"version": version.number})
    return version


def digest_of(definition: Mapping[str, Any]) -> str:
    """SHA-256 of a definition. The order of steps and columns counts: it is that of the result."""
    return hashlib.sha256(json.dumps(definition, separators=(",", ":")).encode()).hexdigest()


def _tell(verb: str, pipeline: Pipeline, actor: User, **changes: Any) -> None:
    record_event(
        verb,
        actor=actor,
        kind="pipeline",
        id=pipeline.uuid,
        label=pipeline.slug,
        project_id=pipeline.project.uuid,
        **changes,
    )
