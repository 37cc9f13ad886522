"""Previews: the first rows after a step, of a version or of a definition not saved yet."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.core.exceptions import ValidationError

from apps.accounts.models import User
from apps.jobs.asking import ask
from apps.pipelines.definitions import check_sql, known_schemas, read_document
from apps.pipelines.services import check_parameters
from apps.projects.models import Project
from apps.projects.services import require_open
from apps.sources.datasets import get_version
from apps.targets.services import get_local_target
from runtime.definitions import PreviewStepSpec
from runtime.pipelines.graph import needed_by, read, suggest

PREVIEW_SECONDS = 20.0
MAX_ROWS = 200


def preview_step(
    project: Project,
    *,
    definition: Mapping[str, Any],
    step: str,
    limit: int,
    parameters: Mapping[str, Any],
    user: User,
) -> dict[str, Any]:
    """The first rows after a step: {"step", "columns", "rows", "sampled", "seconds"}.

    `sampled` maps read steps whose data was cut to [rows used, rows there]. Not inside a
    transaction. Raise ValidationError (a fault, with its place), NoAnswer. Who may see the project
    is the caller's to decide.
    """
    require_open(project)
    document = read_document(definition)
    if step not in document.steps:
        hint = suggest(step, document.steps) or f" Steps: {', '.join(document.steps)}."
        raise ValidationError({"step": f"There is no step `{step}`.{hint}"})
    values = check_parameters(document, parameters)
    check_sql(document, known_schemas(project, document))
    needed = needed_by(document, [step])
    inputs = {}
    for name, each in read(document).items():
        if name in needed:
            path = f"definition.steps.{name}.read.dataset"
            found = get_version(project, each.dataset, each.version, field=path)
            inputs[name] = {"path": str(found.dataset.path), "number": found.number}
    spec = PreviewStepSpec(
        definition=json.dumps(document.model_dump(mode="json", exclude_unset=True)),
        parameters=values,
        step=step,
        limit=min(limit, MAX_ROWS),
        inputs=inputs,
    )
    answer = ask(
        "preview_step",
        spec=asdict(spec),
        target=get_local_target(),
        user=user,
        project=project,
        deadline=PREVIEW_SECONDS,
    )
    if error := answer.get("error"):
        place = f"definition.{error['field']}" if error.get("field") else "step"
        raise ValidationError({place: str(error.get("message", ""))})
    return answer
