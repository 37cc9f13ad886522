"""A prediction traced back to its rows, and the way of a column: over REST, with real captures and
real dataset versions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from django.db import transaction
from django.db.models.signals import post_save
from django.test import Client
from pytest_django import Settings

from apps.deployments.models import Release
from apps.experiments.models import Metric
from apps.jobs.models import Job
from apps.pipelines.models import Pipeline, PipelineRun, PipelineVersion
from apps.projects.models import Role
from apps.sources.models import ColumnEdge, Dataset, DatasetVersion, Source
from runtime.data.delta import write_version
from tests.api.world import answer_at_once
from tests.factories import make_member, make_project
from tests.monitoring.world import (
    START,
    capture,
    captures_of,
    ended_job,
    make_columns,
    make_endpoint,
    make_release,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def var(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    settings.VAR_DIR = tmp_path
    post_save.connect(answer_after_commit, sender=Job)
    yield tmp_path
    post_save.disconnect(answer_after_commit, sender=Job)


def answer_after_commit(sender: Any, instance: Job, created: bool, **more: Any) -> None:
    """The worker, for questions. Not before the asker's commit: a lease is renewed by a thread,
    which would wait for it."""
    transaction.on_commit(lambda: answer_at_once(sender, instance, created, **more))


class World:
    """transactions (from a source) → pipeline → features → run → model version → release."""

    def __init__(self, var: Path) -> None:
        self.project = make_project()
        self.client = Client()
        self.client.force_login(
            make_member(self.project, Role.VIEWER),
            "allauth.account.auth_backends.AuthenticationBackend",
        )
        source = Source.objects.create(
            project=self.project, slug="transactions", definition={"kind": "folder"}
        )
        ids = [n // 3 for n in range(300)]
        spent = {"household_id": ids, "week": [n % 60 for n in range(300)], "sales": [1.5] * 300}
        self.sales = self.write("transactions", spent, source=source)
        made = {"household_id": list(range(100)), "week": [40] * 100, "spend": [4.5] * 100}
        self.run = self.make_pipeline_run()
        self.features = self.write("features", made, origin=self.run, inputs=[self.sales])
        self.release = self.make_release(var)

    def write(
        self, slug: str, columns: dict[str, Any], *, source: Source | None = None,
        origin: PipelineRun | None = None, inputs: list[DatasetVersion] | None = None,
    ) -> DatasetVersion:  # fmt: skip
        dataset = Dataset.objects.create(project=self.project, slug=slug, source=source)
        job = ended_job(self.project, "pipeline")
        reader = pa.table(columns).to_reader()
        written = write_version(str(dataset.path), reader, commit_key=f"{job.pk}/{slug}")
        return DatasetVersion.objects.create(
            dataset=dataset,
            number=written.number,
            columns=[{"name": name, "type": "int64"} for name in columns],
            row_count=written.rows,
            size_bytes=written.size_bytes,
            job=job,
            origin_kind="pipeline_run" if origin else "source",
            origin_id=origin.uuid if origin else dataset.uuid,
            inputs=[{"dataset": str(v.dataset.uuid), "version": str(v.uuid)} for v in inputs or []],
            commit_key=f"{job.pk}/{slug}",
        )

    def make_pipeline_run(self) -> PipelineRun:
        pipeline = Pipeline.objects.create(project=self.project, slug="household-features")
        steps: Any = {"steps": []}
        version = PipelineVersion.objects.create(
            pipeline=pipeline, number=1, definition=steps, digest="d1"
        )
        pinned = [{"name": "transactions", "version": str(self.sales.uuid)}]
        job = ended_job(self.project, "pipeline")
        return PipelineRun.objects.create(version=version, job=job, inputs=pinned)

    def make_release(self, var: Path) -> Release:
        release = make_release(make_endpoint(self.project), "champion", version=self.features)
        Metric.objects.create(run=release.version.run, key="auc", value=0.75, is_last=True)
        capture(captures_of(release, var), make_columns(100), START)
        return release

    def edge(self, source: DatasetVersion, before: str, target: DatasetVersion, after: str) -> None:
        ColumnEdge.objects.create(
            project=self.project, from_kind="dataset_version", from_id=source.uuid,
            from_label=str(source), from_column=before, to_kind="dataset_version",
            to_id=target.uuid, to_label=str(target), to_column=after,
        )  # fmt: skip

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(f"/api/v1/{path}/", query)

    def trace(self, path: str = "traces", **query: Any) -> Any:
        return self.get(path, **{"project": self.project.slug, "request_id": "a-7", **query})


def test_request_is_traced_to_its_sources(var: Path) -> None:
    world = World(var)
    told = world.trace().json()
    assert told["request"]["rows"][0]["keys"] == {"household_id": 7, "week": 40}
    assert set(told["request"]["rows"][0]["inputs"]) == {"spend", "visits", "age"}
    assert told["release"]["uuid"] == str(world.release.uuid)
    assert told["model_version"]["url"] == f"/api/v1/model-versions/{world.release.version.uuid}/"
    assert told["run"]["metrics"] == {"auc": 0.75}
    assert told["run"]["code_digest"] == "c0de" and told["run"]["seed"] == 1
    assert told["dataset_version"]["uuid"] == str(world.features.uuid)
    assert told["pipeline_run"]["inputs"][0]["version"] == str(world.sales.uuid)
    assert [each["label"] for each in told["inputs"]] == ["transactions v0"]
    assert [each["label"] for each in told["sources"]] == ["transactions"]


def test_every_part_of_a_trace_has_uuid_label_and_address(var: Path) -> None:
    told = World(var).trace(endpoint="household-churn").json()
    parts = [told["request"]["endpoint"], *told["inputs"], *told["sources"]]
    names = ("release", "model_version", "run", "dataset_version", "pipeline_run")
    for part in [*parts, *(told[name] for name in names)]:
        assert part["uuid"] and part["label"], part
        assert part["url"].startswith("/api/v1/") and part["uuid"] in part["url"]


def test_request_that_is_not_captured_is_told_so(var: Path) -> None:
    answer = World(var).trace(request_id="another")
    assert answer.status_code == 404
    assert "not written yet" in answer.json()["detail"]


def test_unreadable_segments_are_passed_over_and_told(var: Path) -> None:
    world = World(var)
    folder = captures_of(world.release, var) / "dt=2026-11-20" / "hr=10"
    (folder / "z.parquet").write_bytes(b"PAR1")
    assert world.trace().status_code == 200
    assert "1 segments could not be read" in world.trace(request_id="another").json()["detail"]


def test_no_captures_folder_is_a_request_not_found(var: Path) -> None:
    world = World(var)
    make_endpoint(world.project, "silent")
    assert world.trace(endpoint="silent").status_code == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"endpoint": "nowhere"}, "endpoint"),
        ({"request_id": ""}, "request_id"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_wrong_query_is_refused_by_field(var: Path, query: dict[str, str], field: str) -> None:
    answer = World(var).trace(**query)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field


def test_stranger_traces_nothing(var: Path) -> None:
    world, other = World(var), make_project()
    stranger = make_member(other, Role.OWNER)
    world.client.force_login(stranger, "allauth.account.auth_backends.AuthenticationBackend")
    assert world.trace().status_code == 404
    assert world.trace("traces/rows").status_code == 404
    start = {"kind": "dataset_version", "id": world.features.uuid, "column": "spend"}
    assert world.get("lineage", **start).status_code == 404


def test_rows_are_those_of_the_key_in_pinned_inputs(var: Path) -> None:
    world = World(var)
    world.edge(world.sales, "household_id", world.features, "household_id")
    told = world.trace("traces/rows").json()
    assert told["dataset_row"]["rows"] == [{"household_id": 7, "week": 40, "spend": 4.5}]
    (source,) = told["inputs"]
    assert source["matched_by"] == "lineage" and source["where"] == {"household_id": 7}
    assert len(source["rows"]) == 3 and not source["is_cut"]
    assert sum(row["sales"] for row in source["rows"]) == told["dataset_row"]["rows"][0]["spend"]


def pin(version: DatasetVersion, other: DatasetVersion) -> None:
    version.inputs += [{"dataset": str(other.dataset.uuid), "version": str(other.uuid)}]
    version.save()


def test_input_without_the_key_is_joined_to_one_that_has_it(var: Path) -> None:
    world = World(var)
    basket = {"household_id": [7, 7, 8], "product": [2, 5, 3]}
    pin(world.features, world.write("baskets", basket))
    pin(world.features, world.write("products", {"product": list(range(9)), "price": [1.0] * 9}))
    products = world.trace("traces/rows").json()["inputs"][2]
    assert products["matched_by"] == "join"
    assert [row["product"] for row in products["rows"]] == [2, 5]


def test_row_scored_later_is_found_beside_what_was_trained_on(var: Path) -> None:
    world = World(var)
    later = {"household_id": [7], "week": [40], "spend": [1.0], "visits": [1], "age": ["old"]}
    same = world.trace().json()["request"]["rows"][0]["inputs"]
    later |= {name: [value] for name, value in same.items()}
    version = world.write("later-weeks", later, origin=world.run, inputs=[world.sales])
    told = world.trace("traces/rows").json()["dataset_row"]
    assert told["dataset_version"]["uuid"] == str(version.uuid)
    assert told["is_same"] and len(told["rows"]) == 1


def test_later_versions_do_not_change_what_is_traced(var: Path) -> None:
    world = World(var)
    reader = pa.table({"household_id": [7], "week": [1], "sales": [99.0]}).to_reader()
    write_version(str(world.sales.dataset.path), reader, commit_key="later")
    (source,) = world.trace("traces/rows").json()["inputs"]
    assert source["matched_by"] == "name"
    assert [row["sales"] for row in source["rows"]] == [1.5] * 3


def test_rows_are_paged(var: Path) -> None:
    world = World(var)
    query = {"limit": 2, "input": str(world.sales.uuid)}
    (first,) = world.trace("traces/rows", **query).json()["inputs"]
    (second,) = world.trace("traces/rows", **query, offset=2).json()["inputs"]
    assert [len(first["rows"]), first["is_cut"]] == [2, True]
    assert [len(second["rows"]), second["is_cut"]] == [1, False]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"by": "colour"}, 400),
        ({"row": 5}, 404),
        ({"input": "6f1f3a43-4c39-4a0c-8e6e-111111111111"}, 400),
        ({"limit": 0}, 400),
        ({"limit": 10_001}, 400),
    ],
)
def test_wrong_rows_query_is_refused(var: Path, query: dict[str, Any], status: int) -> None:
    assert World(var).trace("traces/rows", **query).status_code == status


def test_column_goes_down_to_features_and_models(var: Path) -> None:
    world = World(var)
    world.edge(world.sales, "sales", world.features, "spend")
    start = {"kind": "dataset_version", "id": world.sales.uuid, "column": "sales"}
    told = world.get("lineage", **start).json()
    ends = [(node["kind"], node["column"]) for node in told["nodes"]]
    assert ends == [
        ("dataset_version", "sales"),
        ("dataset_version", "spend"),
        ("model_version", "spend"),
    ]
    assert told["edges"] == [{"from": 0, "to": 1}, {"from": 1, "to": 2}]
    assert told["is_complete"]


def test_model_input_goes_up_to_its_columns(var: Path) -> None:
    world = World(var)
    world.edge(world.sales, "sales", world.features, "spend")
    start = {"kind": "model_version", "id": world.release.version.uuid, "column": "spend"}
    told = world.get("lineage", **start, direction="up").json()
    assert ("dataset_version", "sales") in [(n["kind"], n["column"]) for n in told["nodes"]]


def test_cycle_of_edges_ends(var: Path) -> None:
    world = World(var)
    world.edge(world.sales, "sales", world.features, "spend")
    world.edge(world.features, "spend", world.sales, "sales")
    start = {"kind": "dataset_version", "id": world.sales.uuid, "column": "sales"}
    assert len(world.get("lineage", **start).json()["edges"]) == 3


def test_lineage_of_a_column_that_is_not_there_is_404(var: Path) -> None:
    world = World(var)
    start = {"kind": "dataset_version", "id": world.sales.uuid, "column": "colour"}
    assert world.get("lineage", **start).status_code == 404
    assert world.get("lineage", **{**start, "kind": "planet"}).status_code == 400
