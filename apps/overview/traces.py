"""From one answered request back to the rows it stands on: release, model version, run, dataset
version, pipeline run, sources."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404

from apps.accounts.models import User
from apps.deployments.models import Endpoint, Release
from apps.experiments.models import Metric, Run
from apps.jobs.asking import ask
from apps.pipelines.models import PipelineRun
from apps.projects.models import Project
from apps.projects.services import get_project
from apps.registry.models import ModelVersion
from apps.sources.models import DatasetVersion
from apps.targets.services import get_local_target

FIND_SECONDS = 20.0
# A chain of pipelines is followed so far, and no farther than this many versions.
MAX_VERSIONS = 50
OWN_COLUMNS = frozenset({"request_id", "row", "at", "prediction", "label", "latency_us"})
KINDS = {
    "request": "",
    "endpoint": "endpoints",
    "release": "releases",
    "model": "models",
    "model_version": "model-versions",
    "run": "runs",
    "dataset": "datasets",
    "dataset_version": "dataset-versions",
    "pipeline": "pipelines",
    "pipeline_version": "pipeline-versions",
    "pipeline_run": "pipeline-runs",
    "source": "sources",
}


class NotCaptured(Exception):
    """The request is not among those captured, or not yet: HTTP 404, with this message."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True)
class Found:
    """A captured request: its rows as they were captured, and the release that answered it."""

    project: Project
    release: Release
    rows: list[dict[str, Any]]
    is_complete: bool

    @property
    def signature(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.release.version.signature
        return found

    def keys_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        names = [str(each["name"]) for each in self.signature.get("keys", [])]
        return {name: row[name] for name in names if name in row}


def reference_to(kind: str, id: object, label: str, **more: Any) -> dict[str, Any]:  # noqa: A002
    """A thing as traces name it: kind, uuid, label, its address over REST, and what is told."""
    noun = KINDS.get(kind, "")
    url = f"/api/v1/{noun}/{id}/" if noun else ""
    return {"kind": kind, "uuid": str(id), "label": label, "url": url, **more}


def find_request(user: User, *, project: str, request_id: str, endpoint: str = "") -> Found:
    """The captured request, looked for among the project's endpoints or one of them.

    Not inside a transaction: a worker reads the captures. Raise Http404 for what the user may not
    see, ValidationError for an unknown endpoint, NotCaptured when it is not there, or not yet.
    """
    seen = get_project(user, project)
    endpoints = list(_endpoints(seen, endpoint))
    spec = {"request_id": request_id, "endpoints": [str(each.uuid) for each in endpoints]}
    answer = ask(
        "find_request",
        spec=spec,
        target=get_local_target(),
        user=user,
        project=seen,
        deadline=FIND_SECONDS,
    )
    found = answer.get("found")
    if not isinstance(found, dict):
        raise NotCaptured(_why_not(answer))
    release = _release(seen, endpoints, found.get("release"))
    rows = [each for each in found.get("rows", []) if isinstance(each, dict)]
    if release is None or not rows:
        raise NotCaptured("The release that answered this request is gone, and its trace with it.")
    return Found(seen, release, rows, bool(found.get("is_complete", True)))


def _endpoints(project: Project, slug: str) -> Iterable[Endpoint]:
    endpoints = Endpoint.objects.filter(project=project)
    if not slug:
        return endpoints
    if not (one := endpoints.filter(slug=slug)):
        raise ValidationError(
            {"endpoint": f"{project.name} has no endpoint “{slug}”. See its list of endpoints."}
        )
    return one


def _why_not(answer: Mapping[str, Any]) -> str:
    """Nothing found can mean three things; say all that may be true."""
    looked, skipped = answer.get("segments", 0), answer.get("skipped", 0)
    text = (
        f"No captured request has this id ({looked} segments looked at). If it was answered within "
        "the last seconds it is not written yet: try again in a moment. Otherwise it was not "
        "captured, or the id is another one's: it is the X-Request-Id of the answer."
    )
    return f"{text} {skipped} segments could not be read." if skipped else text


def _release(project: Project, endpoints: Iterable[Endpoint], name: Any) -> Release | None:
    try:
        wanted = uuid.UUID(str(name))
    except ValueError:
        return None
    releases = Release.objects.filter(endpoint__in=list(endpoints), endpoint__project=project)
    related = ("endpoint", "version__model", "version__run__dataset_version__dataset__source")
    return releases.select_related(*related).filter(uuid=wanted).first()


def trace_request(
    user: User, *, project: str, request_id: str, endpoint: str = ""
) -> dict[str, Any]:
    """The whole way back of one request: {"request", "release", "model_version", "run",
    "dataset_version", "pipeline_run" (null where none made it), "sources"}.

    Raises as `find_request` does.
    """
    found = find_request(user, project=project, request_id=request_id, endpoint=endpoint)
    version = found.release.version
    run = version.run
    data = run.dataset_version
    chain = _ancestors(data)
    return {
        "request": _tell_request(found, request_id),
        "release": reference_to(
            "release",
            found.release.uuid,
            str(found.release),
            slug=found.release.slug,
            weight=found.release.weight,
            created_at=found.release.created_at,
        ),
        "model_version": _tell_version(version),
        "run": _tell_run(run),
        "dataset_version": _tell_data(data),
        "pipeline_run": _tell_pipeline_run(_pipeline_run(data)),
        "inputs": [_tell_data(each) for each in chain[1:]],
        "sources": _sources(chain),
    }


def _tell_request(found: Found, request_id: str) -> dict[str, Any]:
    inputs = {str(each["name"]) for each in found.signature.get("inputs", [])}
    rows = [
        {
            "row": row.get("row"),
            "at": row.get("at"),
            "keys": found.keys_of(row),
            "inputs": {name: value for name, value in row.items() if name in inputs},
            **{name: row.get(name) for name in ("prediction", "label", "latency_us")},
        }
        for row in found.rows
    ]
    endpoint = found.release.endpoint
    return {
        "request_id": request_id,
        "endpoint": reference_to("endpoint", endpoint.uuid, endpoint.slug),
        "release": found.release.slug,
        "is_complete": found.is_complete,
        "rows": rows,
    }


def _tell_version(version: ModelVersion) -> dict[str, Any]:
    return reference_to(
        "model_version",
        version.uuid,
        str(version),
        model=reference_to("model", version.model.uuid, version.model.slug),
        number=version.number,
        engine=version.engine,
        verdict=version.verdict,
        signature=version.signature,
        conversion=version.conversion,
        files=version.files,
    )


def _tell_run(run: Run) -> dict[str, Any]:
    last = Metric.objects.filter(run=run, is_last=True)
    return reference_to(
        "run",
        run.uuid,
        run.name,
        experiment=run.experiment.slug,
        definition=run.definition,
        seed=run.seed,
        code_digest=run.code_digest,
        packages=run.packages,
        metrics=dict(last.values_list("key", "value")),
    )


def _tell_data(version: DatasetVersion) -> dict[str, Any]:
    return reference_to(
        "dataset_version",
        version.uuid,
        str(version),
        dataset=reference_to("dataset", version.dataset.uuid, version.dataset.slug),
        number=version.number,
        rows=version.row_count,
        columns=version.columns,
        created_at=version.created_at,
    )


def _pipeline_run(version: DatasetVersion) -> PipelineRun | None:
    if version.origin_kind != "pipeline_run":
        return None
    runs = PipelineRun.objects.select_related("version__pipeline")
    return runs.filter(uuid=version.origin_id).first()


def _tell_pipeline_run(run: PipelineRun | None) -> dict[str, Any] | None:
    if run is None:
        return None
    pipeline = run.version.pipeline
    return reference_to(
        "pipeline_run",
        run.uuid,
        str(run.version),
        pipeline=reference_to("pipeline", pipeline.uuid, pipeline.slug),
        version=reference_to("pipeline_version", run.version.uuid, str(run.version)),
        digest=run.version.digest,
        inputs=run.inputs,
        parameters=run.parameters,
    )


def pinned_inputs(version: DatasetVersion) -> list[DatasetVersion]:
    """The dataset versions it was made from, as they were pinned, in order."""
    ids = [str(each.get("version", "")) for each in version.inputs if isinstance(each, dict)]
    found = DatasetVersion.objects.filter(
        uuid__in=[each for each in ids if _is_uuid(each)],
        dataset__project=version.dataset.project_id,
    )
    by_id = {str(each.uuid): each for each in found.select_related("dataset__source")}
    return [by_id[each] for each in dict.fromkeys(ids) if each in by_id]


def _is_uuid(text: str) -> bool:
    try:
        return bool(uuid.UUID(text))
    except ValueError:
        return False


def _ancestors(version: DatasetVersion) -> list[DatasetVersion]:
    """The version and all it was made from, nearest first."""
    chain, seen = [version], {version.pk}
    for each in chain:
        for parent in pinned_inputs(each):
            if parent.pk not in seen and len(chain) < MAX_VERSIONS:
                seen.add(parent.pk)
                chain.append(parent)
    return chain


def _sources(chain: Iterable[DatasetVersion]) -> list[dict[str, Any]]:
    told = []
    for version in chain:
        source = version.dataset.source
        if source is not None:
            data = reference_to("dataset_version", version.uuid, str(version))
            told.append(
                reference_to(
                    "source",
                    source.uuid,
                    source.slug,
                    dataset_version=data,
                    source_kind=str(source.definition.get("connection", {}).get("kind", "")),
                )
            )
    return told


def get_found_row(found: Found, number: int) -> dict[str, Any]:
    """The captured row of this number in its request. Raise Http404 where there is none."""
    row = next((each for each in found.rows if each.get("row") == number), None)
    if row is None:
        raise Http404
    return row
