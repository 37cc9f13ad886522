"""An endpoint with releases, their training references, and captured requests on disk."""

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings
from django.utils import timezone

from apps.deployments.models import Endpoint, Release
from apps.experiments.models import Experiment, Run
from apps.jobs.models import Job, State
from apps.monitoring.models import Alert, Evaluation, Monitor
from apps.projects.models import Project
from apps.registry.models import Model, ModelVersion
from apps.sources.models import Dataset, DatasetVersion
from apps.targets.services import get_local_target
from runtime.documents.monitor import MonitorDocument
from runtime.drift.histograms import PREDICTION, build_reference
from workers.tasks import advance

START = dt.datetime(2026, 11, 20, 10, 0, tzinfo=dt.UTC)
END = START + dt.timedelta(hours=1)
KINDS = {"spend": "number", "visits": "integer", "age": "category", PREDICTION: "number"}
SIGNATURE = {
    "task": "classification",
    "classes": ["0", "1"],
    "positive": "1",
    "inputs": [
        {"name": "spend", "kind": "number", "is_nullable": True},
        {"name": "visits", "kind": "integer", "is_nullable": False},
        {"name": "age", "kind": "category", "is_nullable": True, "categories": ["old", "young"]},
    ],
    "keys": [{"name": "household_id", "kind": "integer"}, {"name": "week", "kind": "integer"}],
}


def ended_job(project: Project, kind: str, **fields: Any) -> Job:
    ended = {"state": State.SUCCEEDED, "finished_at": timezone.now(), "next_poll_at": None}
    return Job.objects.create(
        project=project, target=get_local_target(), kind=kind, label=kind, **{**ended, **fields}
    )


def make_dataset_version(project: Project, slug: str = "features", **fields: Any) -> DatasetVersion:
    dataset, _ = Dataset.objects.get_or_create(project=project, slug=slug)
    job = ended_job(project, "pipeline")
    told = {"number": 0, "row_count": 10, "size_bytes": 10, "commit_key": f"{job.pk}/{slug}"}
    origin = {"origin_kind": "pipeline_run", "origin_id": job.pk}
    return DatasetVersion.objects.create(dataset=dataset, job=job, **{**told, **origin, **fields})


def make_release(
    endpoint: Endpoint, slug: str, *, seed: int = 0, version: DatasetVersion | None = None
) -> Release:
    """A release of a new model version, with the reference of 20,000 training rows."""
    project = endpoint.project
    experiment, _ = Experiment.objects.get_or_create(project=project, slug="churn")
    run = Run.objects.create(
        experiment=experiment,
        job=ended_job(project, "train"),
        name=slug,
        definition={},
        dataset_version=version or make_dataset_version(project, f"for-{endpoint.slug}-{slug}"),
        seed=1,
        code_digest="c0de",
    )
    made = ModelVersion.objects.create(
        model=endpoint.model,
        number=endpoint.model.versions.count() + 1,
        run=run,
        job=ended_job(project, "register"),
        engine="onnx",
        signature=SIGNATURE,
    )
    made.path.mkdir(parents=True)
    reference = build_reference(make_columns(20_000, seed=seed), KINDS)
    (made.path / "reference.json").write_text(json.dumps(reference))
    return Release.objects.create(endpoint=endpoint, slug=slug, version=made, weight=50)


def make_endpoint(project: Project, slug: str = "household-churn") -> Endpoint:
    model, _ = Model.objects.get_or_create(project=project, slug="churn")
    return Endpoint.objects.create(
        project=project,
        slug=slug,
        model=model,
        target=get_local_target(),
        definition={"model": model.slug},
    )


def make_columns(rows: int, seed: int = 1) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    spend = draw.lognormal(3, 1, rows)
    spend[draw.random(rows) < 0.1] = np.nan
    texts = np.array(["old", "young", None], dtype=object)
    return {
        "spend": spend,
        "visits": draw.poisson(4, rows),
        "age": texts[draw.choice(3, rows, p=[0.5, 0.4, 0.1])],
        PREDICTION: draw.beta(2, 5, rows),
    }


def capture(
    folder: Path, columns: Mapping[str, Any], start: dt.datetime = START, *, name: str = "a"
) -> None:
    """Write the columns as one-row requests, spread over an hour from `start`, in one segment."""
    rows = len(columns["visits"])
    begins = int(start.timestamp() * 1_000_000)
    at = begins + (np.arange(rows) * 3_600_000_000 // rows)
    table = pa.table(
        {
            "request_id": [f"{name}-{number}" for number in range(rows)],
            "row": pa.array(np.zeros(rows), pa.int32()),
            "at": pa.array(at, pa.timestamp("us", "UTC")),
            "spend": pa.array(columns["spend"], from_pandas=True),
            "visits": pa.array(columns["visits"]),
            "age": pa.array(columns["age"], pa.string(), from_pandas=True),
            "household_id": pa.array(np.arange(rows)),
            "week": pa.array(np.full(rows, 40)),
            "prediction": pa.array(columns[PREDICTION]),
            "label": ["1"] * rows,
            "latency_us": pa.array(np.arange(1, rows + 1), pa.int32()),
        }
    )
    place = folder / f"dt={start:%Y-%m-%d}" / f"hr={start:%H}"
    place.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, place / f"{name}.parquet")


def captures_of(release: Release, var: Path) -> Path:
    return var / "captures" / str(release.endpoint.uuid) / str(release.uuid)


def count_traffic(folder: Path, requests: int, errors: Mapping[str, int]) -> None:
    place = folder / "traffic"
    place.mkdir(parents=True, exist_ok=True)
    line = {
        "minute": START.isoformat(),
        "requests": requests,
        "rows": requests,
        "errors": dict(errors),
        "latency_log2_us": [0] * 8 + [requests] + [0] * 23,
    }
    with (place / f"{START:%Y-%m-%d}.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def definition(**more: Any) -> dict[str, Any]:
    signals = [
        {"signal": "psi", "threshold": 0.1},
        {"signal": "js", "threshold": 0.15},
        {"signal": "ks", "threshold": 0.1},
        {"signal": "wasserstein", "threshold": 0.2},
        {"signal": "missing_rate", "threshold": 0.05},
        {"signal": "out_of_range_rate", "threshold": 0.05},
        {"signal": "unseen_rate", "threshold": 0.01},
        {"signal": "error_rate", "threshold": 0.02},
        {"signal": "latency_p95_ms", "threshold": 50},
        {"signal": "traffic_per_minute", "threshold": 1, "direction": "below"},
    ]
    return {"endpoint": "household-churn", "min_rows": 500, "signals": signals, **more}


def run_to_end(job: Job) -> Job:
    """What a worker does, until the job has ended."""
    from tests.servers import wait_until

    def is_over() -> bool:
        Job.objects.filter(pk=job.pk, finished_at=None).update(next_poll_at=timezone.now())
        advance([str(job.pk)])
        job.refresh_from_db()
        return job.is_final

    wait_until(is_over, seconds=60, what="the job to end")
    return job


def make_watched(project: Project, slug: str = "watched") -> dict[str, str]:
    """An endpoint with a release, one captured request (`seen-0`), two monitors, an evaluation and
    an alert: the ids that tables of addresses need."""
    endpoint = make_endpoint(project, slug)
    release = make_release(endpoint, "champion")
    capture(captures_of(release, Path(settings.VAR_DIR)), make_columns(1), name="seen")
    document = MonitorDocument.model_validate(definition(endpoint=slug)).model_dump(mode="json")
    monitor, spare = (
        Monitor.objects.create(endpoint=endpoint, slug=name, definition=document)
        for name in ("drift", "spare")
    )
    evaluation = Evaluation.objects.create(
        monitor=monitor, job=ended_job(project, "evaluate"), window_start=START, window_end=END
    )
    alert = Alert.objects.create(
        monitor=monitor, signal="psi", value=1, threshold=0.1, opened_by=evaluation
    )
    return {
        "monitor": str(monitor.uuid),
        "spare_monitor": str(spare.uuid),
        "evaluation": str(evaluation.uuid),
        "alert": str(alert.uuid),
        "traced_version": str(release.version.run.dataset_version.uuid),
    }
