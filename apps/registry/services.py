"""Models and their versions: making them, and registering what runs have learned."""

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.events.services import record_event
from apps.experiments.models import Run
from apps.jobs.models import Job, State
from apps.jobs.services import create_job
from apps.projects.models import Project, Role
from apps.projects.services import require_open, require_role
from apps.registry.models import Model, ModelVersion
from apps.sources.models import ColumnEdge
from runtime.definitions import RegisterSpec
from runtime.documents.base import DocumentError, validate_document
from runtime.documents.model import PolicyDocument

NATIVE = "model/native.pkl"
# What of a run's files goes into a package, or is needed to make one.
PACKAGED = (
    NATIVE,
    "model/signature.json",
    "model/validation.parquet",
    "model/input_example.json",
    "model/reference.json",
    "packages.json",
)
REGISTER_WITHIN = dt.timedelta(hours=2)
ENGINES = frozenset({"onnx", "native"})


@transaction.atomic
def create_model(
    project: Project,
    *,
    slug: str,
    description: str = "",
    policy: Mapping[str, Any] | None = None,
    user: User,
) -> Model:
    """A model without versions. Contributors may; a policy is set by owners only."""
    require_role(user, project, Role.OWNER if policy else Role.CONTRIBUTOR)
    require_open(project)
    model = Model(project=project, slug=slug, description=description, policy=_policy(policy or {}))
    model.full_clean()
    model.save()
    tell_model("model.created", model, user, after={"slug": slug, "policy": model.policy})
    return model


@transaction.atomic
def update_model(
    model: Model,
    *,
    description: str | None = None,
    policy: Mapping[str, Any] | None = None,
    user: User,
) -> Model:
    """Change description or policy; the policy as a whole. Owners only. What was approved under
    the policy before stays approved."""
    require_role(user, model.project, Role.OWNER)
    require_open(model.project)
    before = {"description": model.description, "policy": model.policy}
    if description is not None:
        model.description = description
    if policy is not None:
        model.policy = _policy(policy)
    model.full_clean()
    model.save(update_fields=["description", "policy"])
    after = {"description": model.description, "policy": model.policy}
    if before != after:
        tell_model("model.updated", model, user, before=before, after=after)
    return model


def _policy(given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        document = validate_document(PolicyDocument, given)
    except DocumentError as error:
        paths = {
            f"policy.{path}" if path else "policy": text for path, text in error.errors.items()
        }
        raise ValidationError(paths) from None
    return document.model_dump(mode="json", exclude_defaults=True)


def policy_of(model: Model) -> PolicyDocument:
    return validate_document(PolicyDocument, model.policy)


@transaction.atomic
def register_version(model: Model, *, run: Run, user: User) -> ModelVersion:
    """Make the run's model the next version: a row now, its package by a job.

    Raise PermissionDenied below contributor, ValidationError for a run of another project or one
    that left no model, Conflict for one that has not succeeded. Numbers are never used again.
    """
    require_role(user, model.project, Role.CONTRIBUTOR)
    if run.experiment.project_id != model.project_id:
        text = "This run is of another project. Name a run of this one."
        raise ValidationError({"run": text})
    if run.job.state != State.SUCCEEDED:
        word = State(run.job.state).label.lower()
        raise Conflict(f"Run {run.name} has not succeeded: it is {word}. Register one that has.")
    files = dict(run.artifacts.filter(path__in=PACKAGED).values_list("path", "sha256"))
    if NATIVE not in files:
        raise ValidationError({"run": "This run left no model. Register one that did."})
    model = Model.objects.select_for_update().select_related("project").get(pk=model.pk)
    last = model.versions.aggregate(last=Max("number"))["last"] or 0
    version = ModelVersion(model=model, number=last + 1, run=run, created_by=user)
    spec = RegisterSpec(
        version=str(version.uuid), artifacts=str(run.artifact_path.resolve()), files=files
    )
    version.job = create_job(
        "register",
        spec=asdict(spec),
        target=run.job.target,
        user=user,
        project=model.project,
        label=f"Register {version}",
        give_up_after=REGISTER_WITHIN,
    )
    version.save()
    tell_version("model_version.created", version, user, after={"run": str(run.uuid)})
    return version


def finish_registration(job: Job) -> None:
    """Fill in what the ended job says of its package, and the columns it stands on. In the
    transaction that ends the job; the answer's shape is not trusted."""
    version = (
        ModelVersion.objects.select_related("model__project", "run__dataset_version__dataset")
        .filter(job=job)
        .first()
    )
    if version is None or job.state != State.SUCCEEDED:
        return
    said = job.outputs
    if not _is_whole(said):
        version.conversion = {"is_accepted": False, "reason": "The job's answer was not whole."}
        version.save(update_fields=["conversion"])
        return
    for name in ("engine", "signature", "input_example", "conversion", "files"):
        setattr(version, name, said[name])
    version.save(update_fields=["engine", "signature", "input_example", "conversion", "files"])
    _record_edges(version)
    after = {"engine": version.engine, "reason": str(version.conversion.get("reason", ""))[:500]}
    tell_version("model_version.registered", version, None, after=after)


def _is_whole(said: Mapping[str, Any]) -> bool:
    files, signature = said.get("files"), said.get("signature")
    if said.get("engine") not in ENGINES or not isinstance(said.get("conversion"), dict):
        return False
    if not isinstance(files, dict) or not isinstance(said.get("input_example"), list):
        return False
    if not all(isinstance(each, str) and len(each) == 64 for each in files.values()):
        return False
    inputs = signature.get("inputs") if isinstance(signature, dict) else None
    return isinstance(inputs, list) and all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in inputs
    )


def _record_edges(version: ModelVersion) -> None:
    """One hop of lineage: the dataset version's columns into the model's features."""
    data = version.run.dataset_version
    known = {each["name"] for each in data.columns}
    ColumnEdge.objects.bulk_create(
        ColumnEdge(
            project=version.model.project,
            from_kind="dataset_version",
            from_id=data.uuid,
            from_label=str(data)[:200],
            from_column=name,
            to_kind="model_version",
            to_id=version.uuid,
            to_label=str(version)[:200],
            to_column=name,
        )
        for name in features_of(version)
        if name in known
    )


def features_of(version: ModelVersion) -> list[str]:
    """The names of the version's inputs, in the order of its matrix."""
    return [str(each["name"]) for each in version.signature.get("inputs", ())]


def tell_model(
    verb: str,
    model: Model,
    actor: User | None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    _tell(verb, "model", model.uuid, str(model), model.project, actor, before, after)


def tell_version(
    verb: str,
    version: ModelVersion,
    actor: User | None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    project = version.model.project
    _tell(verb, "model_version", version.uuid, str(version), project, actor, before, after)


def _tell(
    verb: str,
    kind: str,
    id: uuid.UUID,  # noqa: A002
    label: str,
    project: Project,
    actor: User | None,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    record_event(
        verb,
        actor=actor,
        kind=kind,
        id=id,
        label=label,
        project_id=project.uuid,
        before=before,
        after=after,
    )
