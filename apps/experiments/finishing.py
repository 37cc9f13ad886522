"""What a run is given when its job has ended: metrics, params, artifacts, packages."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from apps.experiments.models import Artifact, Metric, Param, Run
from apps.jobs.models import Job, State

MAX_METRICS = 200_000
MAX_ARTIFACTS = 1_000
BATCH = 2_000
SHA256 = re.compile(r"[0-9a-f]{64}")
PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
# Kept in the job's outputs; the rest lies in rows of its own from now on.
TOLD = ("seconds", "cpu_seconds", "peak_rss_mb", "notes", "code_digest")


def finish_run(job: Job) -> None:
    """Take what the ended job says of its run. In the transaction that ends the job.

    What a job says is not trusted: what has not the shape it must have is left out.
    """
    run = Run.objects.filter(job=job).first()
    if run is None or job.state != State.SUCCEEDED:
        return
    said: Mapping[str, Any] = job.outputs
    Metric.objects.bulk_create(_metrics(run, said.get("metrics")), batch_size=BATCH)
    Param.objects.bulk_create(
        _params(run, said.get("params")),
        update_conflicts=True,
        unique_fields=["run", "key"],
        update_fields=["value"],
    )
    Artifact.objects.bulk_create(_artifacts(run, said.get("artifacts")), batch_size=BATCH)
    digest = str(said.get("code_digest", ""))
    packages = _mapping(said.get("packages"))
    Run.objects.filter(pk=run.pk).update(
        code_digest=digest if SHA256.fullmatch(digest) else "",
        packages={str(k)[:100]: str(v)[:100] for k, v in list(packages.items())[:1_000]},
    )
    job.outputs = {key: said[key] for key in TOLD if key in said}
    job.save(update_fields=["outputs"])


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object, limit: int) -> list[Any]:
    return value[:limit] if isinstance(value, list) else []


def _metrics(run: Run, told: object) -> list[Metric]:
    rows = [row for each in _list(told, MAX_METRICS) if (row := _metric(run, each))]
    last = {row.key: row for row in sorted(rows, key=lambda row: row.step)}
    for row in last.values():
        row.is_last = True
    return rows


def _metric(run: Run, told: object) -> Metric | None:
    """None unless it is [key, step, finite number]."""
    if not isinstance(told, list) or len(told) != 3:
        return None
    key, step, value = told
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (isinstance(key, str) and 0 < len(key) <= 250 and "\x00" not in key):
        return None
    if not (isinstance(step, int) and abs(step) < 2**62 and is_number and math.isfinite(value)):
        return None
    return Metric(run=run, key=key, step=step, value=float(value))


def _params(run: Run, told: object) -> Iterator[Param]:
    for key, value in _mapping(told).items():
        text = value if isinstance(value, str) else json.dumps(value)
        yield Param(run=run, key=f"result.{key}"[:250], value=text[:5_000].replace("\x00", ""))


def _artifacts(run: Run, told: object) -> list[Artifact]:
    found: dict[str, Artifact] = {}
    for each in _list(told, MAX_ARTIFACTS):
        said = _mapping(each)
        path, size, sha256 = (said.get(name) for name in ("path", "size_bytes", "sha256"))
        if not (isinstance(path, str) and len(path) <= 500 and PATH.fullmatch(path)):
            continue
        if isinstance(size, int) and size >= 0 and SHA256.fullmatch(str(sha256)):
            found[path] = Artifact(run=run, path=path, size_bytes=size, sha256=str(sha256))
    return list(found.values())
