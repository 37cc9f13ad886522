"""The sections of a project file, in the order in which they can be made, and their services."""

from collections.abc import Callable, Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model as Row

from apps.accounts.models import User
from apps.deployments import services as deployments
from apps.deployments.models import Endpoint
from apps.experiments import services as experiments
from apps.experiments.models import Experiment
from apps.monitoring import services as monitoring
from apps.monitoring.models import Monitor
from apps.overview.projectfiles.planning import Part, Values
from apps.pipelines import definitions as pipelines
from apps.pipelines.models import Pipeline
from apps.projects.models import Project
from apps.registry import services as registry
from apps.registry.models import Model
from apps.schedules import services as schedules
from apps.schedules.models import Schedule
from apps.sources import services as sources
from apps.sources.models import Dataset, Source
from runtime.documents.base import Document, DocumentError, validate_document
from runtime.documents.monitor import MonitorDocument
from runtime.documents.project import (
    DatasetPart,
    EndpointPart,
    ExperimentPart,
    ModelPart,
    PipelinePart,
    SourcePart,
)
from runtime.documents.schedule import ScheduleDocument

KEPT = "It has a history, which a file does not take away. Archive the project instead."


def shown(kind: type[Document], values: Values) -> dict[str, Any]:
    """A document as plain values, without what is only a default: the form that is compared."""
    try:
        document = validate_document(kind, values)
    except DocumentError:
        # Written under older rules: shown as it is, so that a plan offers to bring it up to date.
        return dict(values)
    return document.model_dump(mode="json", exclude_defaults=True)


def _definition(document: Values) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "description"}


def _description(document: Values) -> str:
    return str(document.get("description", ""))


def _cannot_remove(noun: str) -> Callable[[Project, str, User], None]:
    def refuse(project: Project, slug: str, user: User) -> None:
        raise ValidationError({f"{noun}s.{slug}": KEPT})

    return refuse


def _by_slug(rows: Iterable[Row], values: Callable[[Any], dict[str, Any]]) -> dict[str, Values]:
    return {row.slug: values(row) for row in rows}  # type: ignore[attr-defined]


def _sources(project: Project) -> dict[str, Values]:
    rows = Source.objects.filter(project=project)
    return _by_slug(
        rows,
        lambda row: shown(SourcePart, {**row.definition, "description": row.description}),
    )


def _make_source(project: Project, slug: str, document: Values, user: User) -> None:
    sources.create_source(
        project,
        slug=slug,
        definition=_definition(document),
        description=_description(document),
        user=user,
    )


def _change_source(project: Project, slug: str, document: Values, user: User) -> None:
    sources.update_source(
        Source.objects.get(project=project, slug=slug),
        definition=_definition(document),
        description=_description(document),
        user=user,
    )


def _remove_source(project: Project, slug: str, user: User) -> None:
    sources.delete_source(Source.objects.get(project=project, slug=slug), user=user)


def _datasets(project: Project) -> dict[str, Values]:
    rows = Dataset.objects.filter(project=project).select_related("source")
    return _by_slug(
        rows,
        lambda row: shown(
            DatasetPart,
            {
                "source": row.source.slug if row.source else None,
                "description": row.description,
            },
        ),
    )


def _source_of(project: Project, document: Values) -> Source | None:
    slug = document.get("source")
    return Source.objects.get(project=project, slug=slug) if slug else None


def _make_dataset(project: Project, slug: str, document: Values, user: User) -> None:
    sources.create_dataset(
        project,
        slug=slug,
        source=_source_of(project, document),
        description=_description(document),
        user=user,
    )


def _change_dataset(project: Project, slug: str, document: Values, user: User) -> None:
    sources.update_dataset(
        Dataset.objects.get(project=project, slug=slug),
        source=_source_of(project, document),
        description=_description(document),
        user=user,
    )


def _pipelines(project: Project) -> dict[str, Values]:
    rows = [
        row
        for row in Pipeline.objects.filter(project=project).prefetch_related("versions")
        if row.versions.all()
    ]

    def values(row: Pipeline) -> dict[str, Any]:
        newest = max(row.versions.all(), key=lambda each: each.number)
        return shown(PipelinePart, {**newest.definition, "description": row.description})

    return _by_slug(rows, values)


def _make_pipeline(project: Project, slug: str, document: Values, user: User) -> None:
    pipelines.create_pipeline(
        project,
        slug=slug,
        definition=_definition(document),
        description=_description(document),
        user=user,
    )


def _change_pipeline(project: Project, slug: str, document: Values, user: User) -> None:
    pipeline = Pipeline.objects.get(project=project, slug=slug)
    pipelines.update_pipeline(pipeline, description=_description(document), user=user)
    pipelines.add_version(pipeline, definition=_definition(document), user=user)


def _experiments(project: Project) -> dict[str, Values]:
    rows = Experiment.objects.filter(project=project)
    return _by_slug(
        rows,
        lambda row: shown(ExperimentPart, {"specs": row.specs, "description": row.description}),
    )


def _make_experiment(project: Project, slug: str, document: Values, user: User) -> None:
    experiments.create_experiment(
        project,
        slug=slug,
        description=_description(document),
        specs=document.get("specs", {}),
        user=user,
    )


def _change_experiment(project: Project, slug: str, document: Values, user: User) -> None:
    experiments.update_experiment(
        Experiment.objects.get(project=project, slug=slug),
        description=_description(document),
        specs=document.get("specs", {}),
        user=user,
    )


def _models(project: Project) -> dict[str, Values]:
    rows = Model.objects.filter(project=project)
    return _by_slug(
        rows,
        lambda row: shown(ModelPart, {"policy": row.policy, "description": row.description}),
    )


def _make_model(project: Project, slug: str, document: Values, user: User) -> None:
    registry.create_model(
        project,
        slug=slug,
        description=_description(document),
        policy=document.get("policy", {}),
        user=user,
    )


def _change_model(project: Project, slug: str, document: Values, user: User) -> None:
    registry.update_model(
        Model.objects.get(project=project, slug=slug),
        description=_description(document),
        policy=document.get("policy", {}),
        user=user,
    )


def _endpoints(project: Project) -> dict[str, Values]:
    rows = Endpoint.objects.filter(project=project)
    return _by_slug(
        rows,
        lambda row: shown(EndpointPart, {**row.definition, "description": row.description}),
    )


def _make_endpoint(project: Project, slug: str, document: Values, user: User) -> None:
    deployments.create_endpoint(
        project,
        slug=slug,
        definition=_definition(document),
        description=_description(document),
        user=user,
    )


def _change_endpoint(project: Project, slug: str, document: Values, user: User) -> None:
    deployments.update_endpoint(
        Endpoint.objects.get(project=project, slug=slug),
        definition=_definition(document),
        description=_description(document),
        user=user,
    )


def _monitor_rows(project: Project) -> dict[str, Monitor]:
    """By slug; where two endpoints have a monitor of one name, the later takes its endpoint's name
    in front."""
    rows = Monitor.objects.filter(endpoint__project=project).select_related("endpoint")
    found: dict[str, Monitor] = {}
    for row in rows.order_by("pk"):
        slug = row.slug if row.slug not in found else f"{row.endpoint.slug}-{row.slug}"[:48]
        found[slug] = row
    return found


def _monitors(project: Project) -> dict[str, Values]:
    return {
        slug: shown(MonitorDocument, row.definition) for slug, row in _monitor_rows(project).items()
    }


def _make_monitor(project: Project, slug: str, document: Values, user: User) -> None:
    monitoring.create_monitor(project, slug=slug, definition=document, user=user)


def _change_monitor(project: Project, slug: str, document: Values, user: User) -> None:
    monitoring.update_monitor(_monitor_rows(project)[slug], definition=document, user=user)


def _remove_monitor(project: Project, slug: str, user: User) -> None:
    monitoring.delete_monitor(_monitor_rows(project)[slug], user=user)


def _schedules(project: Project) -> dict[str, Values]:
    rows = Schedule.objects.filter(project=project)
    return _by_slug(rows, lambda row: shown(ScheduleDocument, schedules.document_of(row)))


def _make_schedule(project: Project, slug: str, document: Values, user: User) -> None:
    schedules.create_schedule(project, slug=slug, definition=document, user=user)


def _change_schedule(project: Project, slug: str, document: Values, user: User) -> None:
    row = Schedule.objects.get(project=project, slug=slug)
    schedules.update_schedule(row, definition=document, user=user)


def _remove_schedule(project: Project, slug: str, user: User) -> None:
    schedules.delete_schedule(Schedule.objects.get(project=project, slug=slug), user=user)


PARTS = (
    Part("sources", "source", _sources, _make_source, _change_source, _remove_source),
    Part(
        "datasets", "dataset", _datasets, _make_dataset, _change_dataset,
        _cannot_remove("dataset"),
    ),
    Part(
        "pipelines", "pipeline", _pipelines, _make_pipeline, _change_pipeline,
        _cannot_remove("pipeline"),
    ),
    Part(
        "experiments", "experiment", _experiments, _make_experiment, _change_experiment,
        _cannot_remove("experiment"),
    ),
    Part("models", "model", _models, _make_model, _change_model, _cannot_remove("model")),
    Part(
        "endpoints", "endpoint", _endpoints, _make_endpoint, _change_endpoint,
        _cannot_remove("endpoint"),
    ),
    Part("monitors", "monitor", _monitors, _make_monitor, _change_monitor, _remove_monitor),
    Part(
        "schedules", "schedule", _schedules, _make_schedule, _change_schedule, _remove_schedule
    ),
)  # fmt: skip
