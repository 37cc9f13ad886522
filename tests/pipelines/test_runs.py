"""A pipeline from its definition over REST to the dataset it wrote, in real confined processes."""

import json
from typing import Any

import pyarrow as pa
import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.pipelines.models import PipelineRun, StepRun
from apps.pipelines.services import launch_run
from apps.projects.models import Project, Role
from apps.sources.models import ColumnEdge, Dataset, DatasetVersion
from tests.factories import make_member, make_project
from tests.pipelines.making import (
    DEFINITION,
    SALES,
    finish,
    make_pipeline,
    make_tables,
    rows_of,
    run_pipeline,
    steps,
)
from tests.sources.making import make_version

pytestmark = [pytest.mark.django_db, pytest.mark.process]
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def project() -> Project:
    project = make_project()
    make_tables(project)
    return project


@pytest.fixture
def user(project: Project) -> User:
    return make_member(project, Role.CONTRIBUTOR)


def post(client: Client, path: str, body: dict[str, Any]) -> Any:
    return client.post(path, json.dumps(body), content_type="application/json")


def test_pipeline_is_made_launched_and_read_over_rest(
    project: Project, user: User, client: Client
) -> None:
    client.force_login(user, backend=BACKEND)
    body = {"project": project.slug, "slug": "totals", "definition": DEFINITION}
    made = post(client, "/api/v1/pipelines/", body)
    assert made.status_code == 201, made.content
    assert made.json()["version"] == 1
    at = f"/api/v1/pipelines/{made.json()['uuid']}/launch/"
    launched = post(client, at, {"parameters": {"least": 4}})
    assert launched.status_code == 201, launched.content
    assert launched.json()["state"] == "queued"
    finish(PipelineRun.objects.get(uuid=launched.json()["uuid"]))
    told = client.get(f"/api/v1/pipeline-runs/{launched.json()['uuid']}/").json()
    assert told["state"] == "succeeded", told["message"]
    assert [each["name"] for each in told["steps"]] == list(DEFINITION["steps"])
    assert told["written"][0]["dataset_slug"] == "totals"
    assert told["written"][0]["rows"] == 3
    assert rows_of(project, "totals")[0] == {"household": 1, "total": 30.0, "visits": 2}


def test_steps_tell_their_rows_bytes_and_checks(project: Project, user: User) -> None:
    run = run_pipeline(project, user, DEFINITION)
    told = {each.name: each for each in StepRun.objects.filter(run=run)}
    counts = {name: (each.rows_in, each.rows_out) for name, each in told.items()}
    assert counts["sales"] == (7, 7)
    assert counts["bought"] == (7, 5)
    assert counts["placed"] == (8, 5)
    assert counts["weekly"] == (*counts["placed"][1:], 3)
    assert counts["save"] == (3, 3)
    assert told["sound"].checks[0]["is_held"] is True
    assert told["sales"].size_bytes
    assert told["save"].size_bytes
    assert told["bought"].message == "Computed together with `weekly`."


def test_written_version_knows_its_run_inputs_and_profile(project: Project, user: User) -> None:
    run = run_pipeline(project, user, DEFINITION)
    version = DatasetVersion.objects.get(dataset__project=project, dataset__slug="totals")
    assert (version.origin_kind, version.origin_id) == ("pipeline_run", run.uuid)
    assert version.commit_key == f"{run.job_id}/save"
    assert {each["dataset"] for each in version.inputs} == {
        str(each.uuid) for each in Dataset.objects.filter(slug__in=["sales", "products"])
    }
    assert version.profile["columns"]["total"]["max"] == 97.5


def test_column_edges_lead_from_input_to_output(project: Project, user: User) -> None:
    run_pipeline(project, user, DEFINITION)
    version = DatasetVersion.objects.get(dataset__project=project, dataset__slug="totals")
    edges = set(
        ColumnEdge.objects.filter(to_id=version.uuid).values_list("from_column", "to_column")
    )
    assert {("spend", "total"), ("household", "household"), ("", "visits")} <= edges
    sales = DatasetVersion.objects.get(dataset__slug="sales", dataset__project=project)
    assert ColumnEdge.objects.get(to_id=version.uuid, to_column="total").from_id == sales.uuid


def test_inputs_are_pinned_at_launch(project: Project, user: User) -> None:
    pipeline = make_pipeline(project, user, steps())
    run = launch_run(pipeline, user=user)
    make_version(Dataset.objects.get(project=project, slug="sales"), SALES.slice(0, 1))
    finish(run)
    assert len(rows_of(project, "made")) == 7
    finish(launch_run(pipeline, user=user))
    assert len(rows_of(project, "made")) == 1
    finish(launch_run(pipeline, user=user, inputs={"sales": 0}))
    assert len(rows_of(project, "made")) == 7


def test_append_adds_rows_and_refuses_other_columns(project: Project, user: User) -> None:
    definition = steps(few={"operation": "filter", "input": "sales", "where": "week = 1"})
    definition["steps"]["save"]["mode"] = "append"
    pipeline = make_pipeline(project, user, definition)
    for _ in range(2):
        finish(launch_run(pipeline, user=user))
    assert len(rows_of(project, "made")) == 6
    definition["steps"]["few"]["where"] = "week = 2"
    definition["steps"]["more"] = {
        "operation": "derive",
        "input": "few",
        "columns": {"spend": "cast(spend as varchar)"},
    }
    definition["steps"]["save"]["input"] = "more"
    run = run_pipeline(project, user, definition)
    assert "column `spend`: The dataset has this column as double" in run.job.message
    assert len(rows_of(project, "made")) == 6


def test_failed_check_stops_the_write_and_a_warning_does_not(project: Project, user: User) -> None:
    rule = {"rule": "not_null", "columns": ["spend"]}
    check = {"operation": "check", "input": "sales", "rules": [rule]}
    run = run_pipeline(project, user, steps(whole=check))
    assert run.job.state == "failed"
    assert run.job.message.startswith("Step `whole`: spend never missing: 1 rows break it.")
    assert not DatasetVersion.objects.filter(dataset__slug="made").exists()
    assert StepRun.objects.get(run=run, name="whole").state == "failed"
    assert StepRun.objects.get(run=run, name="save").state == "waiting"
    check["rules"] = [{**rule, "severity": "warn"}]
    run = run_pipeline(project, user, steps(whole=check))
    assert run.job.state == "succeeded"
    assert StepRun.objects.get(run=run, name="whole").checks[0]["breaches"] == 1


def test_value_that_cannot_be_turned_names_step_and_column(project: Project, user: User) -> None:
    columns = {"week": "week + 1", "size": "cast(product as integer)"}
    definition = steps(sized={"operation": "derive", "input": "sales", "columns": columns})
    run = run_pipeline(project, user, definition)
    assert run.job.state == "failed"
    assert run.job.message.startswith("Step `sized`, column `size`: Could not convert string 'a'")
    assert run.job.outputs["error"]["step"] == "sized"


def test_wrong_types_name_step_column_and_position(project: Project, user: User) -> None:
    columns = {"total": "spend + 1 + sum(product)"}
    definition = steps(
        counted={"operation": "aggregate", "input": "sales", "group_by": [], "columns": columns}
    )
    run = run_pipeline(project, user, definition)
    assert run.job.message.startswith("Step `counted`, column `total`, position 13: No function")


def test_source_that_changed_its_schema_is_refused_at_launch(project: Project, user: User) -> None:
    pipeline = make_pipeline(project, user)
    changed = SALES.rename_columns(["household", "week", "spent", "product"])
    make_version(Dataset.objects.get(project=project, slug="sales"), changed)
    with pytest.raises(ValidationError) as refused:
        launch_run(pipeline, user=user)
    told = refused.value.message_dict["definition.steps.bought.where"][0]
    assert told == "`sales` has no column `spend`. Did you mean `spent`? (position 1)"


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"parameters": {"lest": 1}}, "parameters.lest"),
        ({"parameters": {"least": "3"}}, "parameters.least"),
        ({"parameters": {"least": True}}, "parameters.least"),
        ({"version": 9}, "version"),
        ({"inputs": {"sale": 0}}, "inputs.sale"),
        ({"inputs": {"sales": 7}}, "inputs.sales"),
    ],
)
def test_wrong_launches_name_the_field(
    project: Project, user: User, asked: dict[str, Any], field: str
) -> None:
    pipeline = make_pipeline(project, user)
    with pytest.raises(ValidationError) as refused:
        launch_run(pipeline, user=user, **asked)
    assert list(refused.value.message_dict) == [field]


def test_pipeline_over_a_dataset_without_versions_is_kept_but_not_launched(
    project: Project, user: User
) -> None:
    definition = steps()
    definition["steps"]["sales"] = {"operation": "read", "dataset": "not-yet"}
    pipeline = make_pipeline(project, user, definition)
    with pytest.raises(ValidationError, match="not-yet"):
        launch_run(pipeline, user=user)


def test_viewers_launch_nothing_and_a_pipeline_that_writes_nothing_is_not_run(
    project: Project, user: User
) -> None:
    pipeline = make_pipeline(project, user)
    with pytest.raises(PermissionDenied):
        launch_run(pipeline, user=make_member(project, Role.VIEWER))
    definition = steps()
    del definition["steps"]["save"]
    with pytest.raises(Conflict, match="writes no dataset"):
        launch_run(make_pipeline(project, user, definition, slug="other"), user=user)


def test_empty_dataset_goes_through(project: Project, user: User) -> None:
    empty = pa.table({"a": pa.array([], pa.int64())})
    make_version(Dataset.objects.create(project=project, slug="nothing"), empty)
    definition = steps(more={"operation": "derive", "input": "sales", "columns": {"b": "a + 1"}})
    definition["steps"]["sales"] = {"operation": "read", "dataset": "nothing"}
    run = run_pipeline(project, user, definition)
    assert run.job.state == "succeeded", run.job.message
    assert rows_of(project, "made") == []
