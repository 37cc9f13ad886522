"""Runs of pipelines: launched with pinned inputs, and recorded when they have ended."""

import json
import logging
import uuid as uuids
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.jobs.models import Job
from apps.jobs.services import create_job
from apps.pipelines.definitions import check_sql
from apps.pipelines.models import Pipeline, PipelineRun, PipelineVersion, StepRun
from apps.projects.models import Role
from apps.projects.services import require_role
from apps.sources.datasets import add_column_edges, ensure_dataset, get_version, record_version
from apps.sources.models import DatasetVersion
from apps.targets.services import get_local_target
from runtime.definitions import PipelineSpec
from runtime.documents.base import validate_document
from runtime.documents.pipeline import PipelineDocument, Scalar, inputs_of
from runtime.pipelines.graph import needed_by, read, suggest, written

if TYPE_CHECKING:
    from apps.schedules.models import Schedule

log = logging.getLogger(__name__)
MAX_CHECKS = 200
STEP_STATES = frozenset({"waiting", "running", "succeeded", "failed", "skipped"})


@transaction.atomic
def launch_run(
    pipeline: Pipeline,
    *,
    parameters: Mapping[str, Any] | None = None,
    user: User,
    version: int | None = None,
    inputs: Mapping[str, int] | None = None,
) -> PipelineRun:
    """Queue a run of a version (the newest without a number), its inputs pinned now.

    `inputs` names versions of datasets to read instead of the newest. Contributors only. Raise
    ValidationError for parameters, inputs or columns that do not fit, Conflict when there is
    nothing to write.
    """
    require_role(user, pipeline.project, Role.CONTRIBUTOR)
    chosen = _version(pipeline, version)
    document = validate_document(PipelineDocument, chosen.definition)
    values = check_parameters(document, parameters or {})
    if not written(document):
        raise Conflict("This pipeline writes no dataset. Add a write step, then launch it.")
    pinned = pin_inputs(pipeline, document, inputs or {})
    schemas = {
        document.steps[name].dataset: [str(each["name"]) for each in found.columns]  # type: ignore[union-attr]
        for name, found in pinned.items()
    }
    lineage = check_sql(document, schemas)
    if lineage.keys() != chosen.lineage.keys():
        PipelineVersion.objects.filter(pk=chosen.pk).update(lineage=lineage)
    spec = PipelineSpec(
        definition=json.dumps(chosen.definition),
        parameters=values,
        inputs={name: _place(found) for name, found in pinned.items()},
        outputs=_outputs(pipeline, document, user),
    )
    job = create_job(
        "pipeline",
        spec=asdict(spec),
        target=get_local_target(),
        user=user,
        project=pipeline.project,
        label=f"Run {pipeline.slug} v{chosen.number}",
    )
    told = [
        {"name": name, "dataset": str(found.dataset.uuid), "version": str(found.uuid)}
        for name, found in pinned.items()
    ]
    return PipelineRun.objects.create(version=chosen, job=job, inputs=told, parameters=values)


def launch_scheduled_run(schedule: "Schedule", user: User) -> PipelineRun:
    """Launch the newest version of the pipeline that a schedule names, as its principal."""
    pipelines = Pipeline.objects.filter(uuid=schedule.subject_id, project_id=schedule.project_id)
    pipeline = pipelines.first()
    if pipeline is None:
        raise Http404
    return launch_run(pipeline, parameters=schedule.parameters, user=user)


def _version(pipeline: Pipeline, number: int | None) -> PipelineVersion:
    versions = pipeline.versions.all()
    found = versions.first() if number is None else versions.filter(number=number).first()
    if found is None:
        raise ValidationError({"version": f"{pipeline.slug} has no version {number}."})
    return found


def check_parameters(document: PipelineDocument, given: Mapping[str, Any]) -> dict[str, Scalar]:
    """All parameters with their values; those not given have their defaults. Raise
    ValidationError for names that are none, and for values of another type than the default's."""
    known = document.parameters
    errors: dict[str, str] = {}
    for name, value in given.items():
        if name not in known:
            names = ", ".join(known) or "none"
            hint = suggest(name, known) or f" Parameters: {names}."
            errors[f"parameters.{name}"] = f"The pipeline has no such parameter.{hint}"
        elif not _is_like(value, known[name]):
            what = {bool: "true or false", str: "a text", int: "a whole number"}
            kind = what.get(type(known[name]), "a number")
            errors[f"parameters.{name}"] = f"Give {kind}, as the default {known[name]!r} is."
    if errors:
        raise ValidationError(errors)
    return {**known, **given}


def _is_like(value: Any, default: Scalar) -> bool:
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(default)


def pin_inputs(
    pipeline: Pipeline, document: PipelineDocument, chosen: Mapping[str, int]
) -> dict[str, DatasetVersion]:
    """The dataset version each read step reads. Raise ValidationError where there is none."""
    steps = read(document)
    datasets = {step.dataset for step in steps.values()}
    if unknown := sorted(chosen.keys() - datasets):
        hint = suggest(unknown[0], datasets) or f" It reads {', '.join(sorted(datasets))}."
        text = f"The pipeline reads no dataset of this name.{hint}"
        raise ValidationError({f"inputs.{unknown[0]}": text})
    found = {}
    for name, step in steps.items():
        number = chosen.get(step.dataset, step.version)
        field = f"inputs.{step.dataset}"
        found[name] = get_version(pipeline.project, step.dataset, number, field=field)
    return found


def _place(version: DatasetVersion) -> dict[str, Any]:
    return {"path": str(version.dataset.path), "number": version.number}


def _outputs(pipeline: Pipeline, document: PipelineDocument, user: User) -> dict[str, Any]:
    found = {}
    for name, step in written(document).items():
        try:
            dataset = ensure_dataset(pipeline.project, step.dataset, user=user)
        except ValidationError as error:
            path = f"definition.steps.{name}.write.dataset"
            raise ValidationError({path: error.messages}) from None
        found[name] = {"path": str(dataset.path), "dataset": str(dataset.uuid)}
    return found


def finish_run(job: Job) -> None:
    """Record what the ended job says: its steps, and the dataset versions it wrote, with where
    their columns came from. In the transaction that ends the job.

    A run that failed between two datasets has written the first: it is recorded, as it is there.
    """
    run = PipelineRun.objects.select_related("version__pipeline").filter(job=job).first()
    if run is None:
        return
    steps = job.outputs.get("steps")
    StepRun.objects.bulk_create(
        [
            _step_run(run, position, each)
            for position, each in enumerate(steps[:200] if isinstance(steps, list) else [])
            if isinstance(each, dict)
        ],
        ignore_conflicts=True,
    )
    datasets = job.outputs.get("datasets")
    for name, said in (datasets if isinstance(datasets, dict) else {}).items():
        _record_output(run, str(name), said)


def _step_run(run: PipelineRun, position: int, said: Mapping[str, Any]) -> StepRun:
    state = str(said.get("state"))
    checks = said.get("checks")
    return StepRun(
        run=run,
        position=position,
        name=str(said.get("name"))[:64],
        operation=str(said.get("operation"))[:32],
        state=state if state in STEP_STATES else "failed",
        message=str(said.get("message", ""))[:2000],
        rows_in=_count(said.get("rows_in")),
        rows_out=_count(said.get("rows_out")),
        size_bytes=_count(said.get("size_bytes")),
        seconds=_seconds(said.get("seconds")),
        checks=checks[:MAX_CHECKS] if isinstance(checks, list) else [],
    )


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62
    return value if is_count else None


def _seconds(value: Any) -> float | None:
    is_time = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if is_time else None


def _record_output(run: PipelineRun, step: str, said: Any) -> None:
    spec = run.job.spec["outputs"].get(step)
    if not isinstance(said, dict) or spec is None:
        return
    inputs = [{"dataset": each["dataset"], "version": each["version"]} for each in run.inputs]
    try:
        version = record_version(
            spec["dataset"],
            said,
            job=run.job,
            origin_kind="pipeline_run",
            origin_id=run.uuid,
            inputs=inputs,
        )
    except ValueError:
        # Not to end the job would be worse: the worker would come here again and again.
        log.exception("job %s says what cannot be of the dataset it wrote", run.job_id)
        return
    add_column_edges(version, _edges(run, step, version))


def _edges(
    run: PipelineRun, step: str, version: DatasetVersion
) -> list[tuple[str, uuids.UUID, str, str, str]]:
    """Lineage from the input versions' columns to the written version's, and from table to table
    where the columns' is not known."""
    from runtime.pipelines.lineage import end_to_end

    document = validate_document(PipelineDocument, run.version.definition)
    pinned = {each["name"]: uuids.UUID(each["version"]) for each in run.inputs}
    rows = DatasetVersion.objects.select_related("dataset").filter(uuid__in=pinned.values())
    labels = {each.uuid: str(each) for each in rows}
    found = end_to_end(document, run.version.lineage, step)
    needed = needed_by(document, inputs_of(document.steps[step]))
    pairs = [(name, "", "") for name in pinned if name in needed]
    pairs += [(n, source, column) for column, each in found.items() for n, source in each]
    return [
        ("dataset_version", pinned[name], labels.get(pinned[name], ""), source, column)
        for name, source, column in dict.fromkeys(pairs)
        if name in pinned
    ]


def written_by(run: PipelineRun) -> list[dict[str, Any]]:
    """The dataset versions that the run wrote."""
    rows = DatasetVersion.objects.filter(origin_kind="pipeline_run", origin_id=run.uuid)
    return [
        {
            "dataset": row.dataset.uuid,
            "dataset_slug": row.dataset.slug,
            "version": row.uuid,
            "number": row.number,
            "rows": row.row_count,
        }
        for row in rows.select_related("dataset").order_by("pk")
    ]
