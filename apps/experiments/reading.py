"""What is read of runs: their files, reports, series, and how they differ."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Prefetch, QuerySet

from apps.core.errors import Conflict, NotHere
from apps.experiments.models import Artifact, Metric, Run
from runtime.files import read_json

MAX_SERIES_POINTS = 50_000
MAX_COMPARED = 50
PIECE = 256 * 1024
MAX_REPORT_BYTES = 8 * 1024 * 1024


def with_values(rows: QuerySet[Run]) -> QuerySet[Run]:
    """Runs with what every answer shows of them, in a fixed number of queries."""
    last = Prefetch("metrics", Metric.objects.filter(is_last=True), to_attr="last_metrics")
    related = ("experiment__project", "job", "dataset_version__dataset", "created_by")
    return rows.select_related(*related).prefetch_related(last, "params", "tags")


def metric_series(run: Run, key: str = "") -> dict[str, list[tuple[int, float]]]:
    """[step, value] pairs in order, by metric; of all metrics without a key."""
    rows = run.metrics.filter(key=key.replace("\x00", "")) if key else run.metrics.all()
    found: dict[str, list[tuple[int, float]]] = {}
    for name, step, value in rows.values_list("key", "step", "value")[:MAX_SERIES_POINTS]:
        found.setdefault(name, []).append((step, value))
    if key and not found:
        known = ", ".join(
            rows.model.objects.filter(run=run, is_last=True).values_list("key", flat=True)[:50]
        )
        raise ValidationError({"key": f"The run has no metric “{key}”. It has: {known or 'none'}."})
    return found


def find_artifact(run: Run, path: str) -> tuple[Artifact, Path, int]:
    """One of the run's artifacts, its file and the file's size in bytes.

    Only what the run recorded is found, so no path leads out of its folder; a link is refused.
    """
    if not path:
        raise ValidationError({"path": "Say which file: a path from the list of artifacts."})
    artifact = run.artifacts.filter(path=path).first() if "\x00" not in path else None
    if artifact is None:
        raise NotHere("The run left no such file. See the list of its artifacts.")
    file = run.artifact_path / artifact.path
    try:
        status = file.lstat()
    except OSError:
        status = None
    if status is None or not stat.S_ISREG(status.st_mode):
        raise Conflict(f"{path} is no longer on this machine. Train again to make it.")
    return artifact, file, status.st_size


def read_pieces(file: Path) -> Iterator[bytes]:
    """The file's bytes. Opened only when the first are asked for, so nothing is left open."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as source:
        while piece := source.read(PIECE):
            yield piece


def read_report(run: Run, name: str) -> dict[str, Any]:
    """One of the run's reports, as data for a chart."""
    path = f"reports/{name}.json"
    if not run.artifacts.filter(path=path).exists():
        kept = run.artifacts.filter(path__startswith="reports/").values_list("path", flat=True)
        names = ", ".join(each[len("reports/") : -len(".json")] for each in kept) or "none"
        raise NotHere(f"The run has no report “{name}”. It has: {names}.")
    try:
        found = read_json(str(run.artifact_path / path), max_bytes=MAX_REPORT_BYTES)
    except ValueError:
        found = None
    if found is None:
        raise Conflict(f"The report {name} is no longer on this machine. Train again to make it.")
    return found


def compare_runs(runs: Sequence[Run]) -> dict[str, Any]:
    """Runs side by side: params only where they differ, every metric; null where one has none.

    `runs` come from `with_values`.
    """
    params = [{each.key: each.value for each in run.params.all()} for run in runs]
    metrics = [{each.key: each.value for each in last_metrics(run)} for run in runs]
    table = _side_by_side(params)
    return {
        "runs": runs,
        "params": {key: row for key, row in table.items() if len(set(row)) > 1},
        "metrics": _side_by_side(metrics),
    }


def last_metrics(run: Run) -> list[Metric]:
    found: list[Metric] = getattr(run, "last_metrics", None) or []
    return found if hasattr(run, "last_metrics") else list(run.metrics.filter(is_last=True))


def _side_by_side(columns: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    keys = sorted({key for column in columns for key in column})
    return {key: [column.get(key) for column in columns] for key in keys}
