"""Experiments and runs: made, launched, tagged, and filled when their job has ended."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404
from django.utils import timezone

from apps.accounts.models import User
from apps.events.services import record_event
from apps.experiments.models import Experiment, Param, Run, Tag
from apps.jobs.models import Job
from apps.jobs.services import create_job
from apps.projects.models import Project, Role
from apps.projects.services import require_open, require_role
from apps.sources.datasets import get_version
from apps.sources.models import DatasetVersion
from apps.targets.services import get_local_target
from runtime.definitions import TrainSpec
from runtime.documents.base import DocumentError, validate_document
from runtime.documents.training import TrainingDocument

MAX_SPECS = 100
MAX_TAGS = 100
MAX_TAG_LENGTH = 5_000


def get_experiment(project: Project, slug: str, *, field: str = "experiment") -> Experiment:
    """Raise ValidationError for `field` where the project has no such experiment."""
    found = Experiment.objects.filter(project=project, slug=slug).first()
    if found is None:
        text = f"{project.name} has no experiment “{slug}”. Make it first, or see its list."
        raise ValidationError({field: text})
    return found


@transaction.atomic
def create_experiment(
    project: Project,
    *,
    slug: str,
    description: str = "",
    specs: Mapping[str, Any] | None = None,
    user: User,
) -> Experiment:
    """Name a question. `specs` are named definitions kept to be launched. Contributors only."""
    require_role(user, project, Role.CONTRIBUTOR)
    require_open(project)
    experiment = Experiment(
        project=project, slug=slug, description=description, specs=_valid_specs(specs or {})
    )
    experiment.full_clean()
    experiment.save()
    _tell("experiment.created", experiment, user, after={"slug": slug})
    return experiment


@transaction.atomic
def update_experiment(
    experiment: Experiment,
    *,
    description: str | None = None,
    specs: Mapping[str, Any] | None = None,
    user: User,
) -> Experiment:
    """Change description or kept definitions; the slug stays. Contributors only."""
    require_role(user, experiment.project, Role.CONTRIBUTOR)
    require_open(experiment.project)
    before = {"description": experiment.description, "specs": experiment.specs}
    if description is not None:
        experiment.description = description
    if specs is not None:
        experiment.specs = _valid_specs(specs)
    experiment.full_clean()
    experiment.save(update_fields=["description", "specs"])
    after = {"description": experiment.description, "specs": experiment.specs}
    if before != after:
        _tell("experiment.updated", experiment, user, before=before, after=after)
    return experiment


def _valid_specs(specs: Mapping[str, Any]) -> dict[str, Any]:
    """As they were written; each must be a definition that could be launched."""
    if len(specs) > MAX_SPECS:
        raise ValidationError({"specs": f"An experiment keeps at most {MAX_SPECS} definitions."})
    for name, definition in specs.items():
        if not name or len(name) > 120 or "\x00" in name:
            raise ValidationError({"specs": "A definition's name has 1 to 120 characters."})
        read_definition(definition, field=f"specs.{name}")
    return dict(specs)


def read_definition(definition: object, *, field: str = "definition") -> TrainingDocument:
    """The document, checked on its own. Raise ValidationError, by path under `field`."""
    try:
        return validate_document(TrainingDocument, definition)
    except DocumentError as error:
        told = {f"{field}.{path}" if path else field: text for path, text in error.errors.items()}
        raise ValidationError(told) from None


def check_definition(
    project: Project, definition: object, *, field: str = "definition"
) -> tuple[TrainingDocument, DatasetVersion]:
    """The document and the dataset version it is about, checked against that version's columns.

    Raise ValidationError, by path under `field`.
    """
    document = read_definition(definition, field=field)
    version = get_version(project, document.dataset, document.version, field=f"{field}.dataset")
    types = {str(each["name"]): str(each["type"]) for each in version.columns}
    wrong = {}
    for name, path in document.columns().items():
        if name not in types:
            known = ", ".join(list(types)[:30])
            wrong[f"{field}.{path}"] = f"{version} has no column “{name}”. Its columns: {known}."
    if not wrong and document.task == "regression" and not _is_number(types[document.target]):
        text = f"{document.target} is a {types[document.target]}, not a number. Cast it in a "
        wrong[f"{field}.target"] = text + "pipeline, or set task to classification."
    if wrong:
        raise ValidationError(wrong)
    return document, version


def _is_number(kind: str) -> bool:
    return kind.startswith(("int", "uint", "float", "double", "halffloat", "decimal"))


@transaction.atomic
def launch_run(
    experiment: Experiment, *, definition: Mapping[str, Any], name: str = "", user: User
) -> Run:
    """Train one model, as a job. What it stands on is pinned now: the dataset's version and every
    default of the definition. Contributors only; raise ValidationError, by path under
    `definition`."""
    project = experiment.project
    require_role(user, project, Role.CONTRIBUTOR)
    require_open(project)
    document, version = check_definition(project, definition)
    pinned = document.model_dump(mode="json")
    pinned |= {"version": version.number, "metric": document.chosen_metric}
    run = Run(
        experiment=experiment,
        name=(name.strip() or document.algorithm)[:120],
        definition=pinned,
        dataset_version=version,
        seed=document.seed,
        created_by=user,
        created_at=timezone.now(),
    )
    run.job = _create_train_job(run, user)
    run.full_clean(exclude=["code_digest", "packages"])
    run.save()
    Param.objects.bulk_create(
        Param(run=run, key=key[:250], value=value) for key, value in _flat(pinned)
    )
    _tell_run("run.launched", run, user, after={"dataset": str(version)})
    return run


def _create_train_job(run: Run, user: User) -> Job:
    version = run.dataset_version
    path = str(version.dataset.path)
    spec = TrainSpec(str(run.uuid), path, version.number, run.definition)
    return create_job(
        "train",
        spec=asdict(spec),
        target=get_local_target(),
        user=user,
        project=run.experiment.project,
        label=f"Train {run.name}",
    )


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A definition as params: dotted names, texts as they are, lists as JSON."""
    for name, each in value.items():
        if isinstance(each, dict):
            yield from _flat(each, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", each if isinstance(each, str) else json.dumps(each)


@transaction.atomic
def set_tags(run: Run, *, tags: Mapping[str, str | None], user: User) -> Run:
    """Set these tags and remove those that are null; others stay. Contributors only."""
    project = run.experiment.project
    require_role(user, project, Role.CONTRIBUTOR)
    require_open(project)
    for key, value in tags.items():
        if not key or len(key) > 250 or len(value or "") > MAX_TAG_LENGTH or "\x00" in key:
            text = f"A tag has a name of 1 to 250 characters, and at most {MAX_TAG_LENGTH:,}."
            raise ValidationError({"tags": text})
    before = dict(run.tags.values_list("key", "value"))
    run.tags.filter(key__in=[key for key, value in tags.items() if value is None]).delete()
    for key, value in tags.items():
        if value is not None:
            Tag.objects.update_or_create(run=run, key=key, defaults={"value": value})
    after = dict(run.tags.values_list("key", "value"))
    if len(after) > MAX_TAGS:
        raise ValidationError({"tags": f"A run has at most {MAX_TAGS} tags. Remove some."})
    if before != after:
        _tell_run("run.tagged", run, user, before=before, after=after)
    return run


def get_run(user: User, uuid: object) -> Run:
    """The run, if the user sees it; else Http404."""
    try:
        found = Run.objects.visible_to(user).filter(uuid=str(uuid)).first()
    except ValidationError:
        found = None
    if found is None:
        raise Http404
    return found


def _tell(verb: str, experiment: Experiment, user: User, **change: Any) -> None:
    record_event(
        verb,
        actor=user,
        kind="experiment",
        id=experiment.uuid,
        label=experiment.slug,
        project_id=experiment.project.uuid,
        **change,
    )


def _tell_run(verb: str, run: Run, user: User, **change: Any) -> None:
    record_event(
        verb,
        actor=user,
        kind="run",
        id=run.uuid,
        label=run.name,
        project_id=run.experiment.project.uuid,
        **change,
    )
