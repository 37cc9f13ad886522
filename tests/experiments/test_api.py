"""Experiments and runs over REST and by services, without a training."""

import json
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.events.models import Event
from apps.experiments.finishing import finish_run
from apps.experiments.models import Metric, Run
from apps.experiments.services import create_experiment, set_tags, update_experiment
from apps.jobs.models import Job, State
from apps.projects.models import Project, Role
from tests.experiments.making import DEFINITION, make_dataset, make_run, make_table, make_told_run
from tests.factories import make_member, make_project

pytestmark = pytest.mark.django_db
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def project() -> Project:
    project = make_project()
    make_dataset(project, make_table(100))
    return project


@pytest.fixture
def user(project: Project) -> User:
    return make_member(project, Role.CONTRIBUTOR)


@pytest.fixture
def browser(client: Client, user: User) -> Client:
    client.force_login(user, BACKEND)
    return client


def refused(project: Project, user: User, **changes: Any) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        make_run(project, user, **changes)
    return caught.value.message_dict


REFUSALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "dataset": ({"dataset": "nowhere"}, "definition.dataset", "nowhere"),
    "version": ({"version": 7}, "definition.dataset", "no version 7"),
    "target": ({"target": "left"}, "definition.target", "left"),
    "features": ({"features": ["visits", "mood"]}, "definition.features", "mood"),
    "split": (
        {"split": {"by": "time", "column": "month", "train_until": 3, "test_from": 5}},
        "definition.split.column",
        "month",
    ),
    "leak": ({"features": ["churned"]}, "definition.features", "churned"),
    "setting": ({"settings": {"depth": 1}}, "definition.settings", "depth"),
    "text target": (
        {"target": "age", "task": "regression", "algorithm": "linear"},
        "definition.target",
        "Cast it",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_launch_is_refused_at_once_by_path(project: Project, user: User, case: str) -> None:
    changes, path, word = REFUSALS[case]
    told = refused(project, user, **changes)
    assert word in told[path][0], told
    assert not Run.objects.exists()
    assert not Job.objects.exists()


def test_launch_pins_version_defaults_and_seed(project: Project, user: User) -> None:
    run = make_run(project, user, seed=7)
    make_dataset(project, make_table(100, seed=1))
    assert run.dataset_version.number == 0
    assert run.job.spec["number"] == 0
    assert run.seed == run.definition["seed"] == 7
    assert run.definition["settings"] == {"c": 1.0, "max_iter": 500, "balanced": False}
    assert run.definition["metric"] == "auc"
    assert run.params.get(key="split.train_until").value == "36"
    assert Event.objects.filter(verb="run.launched", object_id=str(run.uuid)).exists()


def test_viewers_and_archived_projects_launch_nothing(project: Project, user: User) -> None:
    make_run(project, user)
    with pytest.raises(PermissionDenied):
        make_run(project, make_member(project, Role.VIEWER))
    project.archived_at = timezone.now()
    project.save()
    with pytest.raises(Conflict, match="archived"):
        make_run(project, user)


def with_metrics(project: Project, user: User, name: str, **metrics: float) -> Run:
    run = make_run(project, user, name)
    for key, value in metrics.items():
        key = key.replace("_", ".", 1)
        Metric.objects.create(run=run, key=key, value=0.01, step=0)
        Metric.objects.create(run=run, key=key, value=value, step=1, is_last=True)
    return run


def names(browser: Client, **query: str) -> list[str]:
    answer = browser.get("/api/v1/runs/", query)
    assert answer.status_code == 200, answer.content
    return [each["name"] for each in answer.json()["results"]]


def test_runs_are_filtered_by_metric_param_and_tag(
    browser: Client, project: Project, user: User
) -> None:
    with_metrics(project, user, "good", test_auc=0.9, test_f1=0.2)
    with_metrics(project, user, "bad", test_auc=0.6, test_f1=0.9)
    set_tags(make_run(project, user, "none", seed=3), tags={"note": "a try"}, user=user)
    assert names(browser, filter="metrics.test.auc > 0.8") == ["good"]
    assert names(browser, filter="metrics.test.auc > 0.5 and metrics.test.f1 > 0.5") == ["bad"]
    assert names(browser, filter="metrics.test.auc is null") == ["none"]
    assert names(browser, filter="metrics.test.auc is not null") == ["bad", "good"]
    assert names(browser, filter="not metrics.test.auc > 0.8") == ["none", "bad"]
    assert names(browser, filter="params.seed = 3 or tags.note ~ zzz") == ["none"]
    assert names(browser, filter='tags.note = "a try" and state = queued') == ["none"]


def test_unknown_field_of_the_filter_is_told(browser: Client, project: Project) -> None:
    for text in ("metrics.* > 1", "metric.test.auc > 1", "metrics.auc ~ high"):
        answer = browser.get("/api/v1/runs/", {"filter": text})
        assert answer.status_code == 400, text


def test_runs_are_ordered_by_a_metric_over_pages(
    browser: Client, project: Project, user: User
) -> None:
    for name, value in {"b": 0.7, "a": 0.9, "c": 0.7}.items():
        with_metrics(project, user, name, test_auc=value)
    make_run(project, user, "none")
    seen, at = [], "/api/v1/runs/?order=-metrics.test.auc&size=1"
    while at:
        page = browser.get(at).json()
        seen += [each["name"] for each in page["results"]]
        at = page["next"]
    assert seen == ["a", "c", "b", "none"]
    assert names(browser, order="metrics.test.auc")[-1] == "none"
    assert browser.get("/api/v1/runs/", {"order": "name"}).status_code == 400


def test_listing_costs_the_same_for_any_number_of_runs(
    browser: Client, project: Project, user: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        with_metrics(project, user, f"run {number}", test_auc=0.5)
    with django_assert_max_num_queries(12):
        assert len(names(browser)) == 5


def test_comparison_shows_only_what_differs(browser: Client, project: Project, user: User) -> None:
    one = with_metrics(project, user, "one", test_auc=0.9)
    two = make_run(project, user, "two", seed=5)
    body = json.dumps({"runs": [str(one.uuid), str(two.uuid)]})
    told = browser.post("/api/v1/runs/compare/", body, content_type="application/json").json()
    assert told["params"] == {"seed": ["0", "5"]}
    assert told["metrics"] == {"test.auc": [0.9, None]}
    assert [each["name"] for each in told["runs"]] == ["one", "two"]


@pytest.mark.parametrize(
    "path",
    ["../../keys/secret-keys", "/etc/passwd", "reports/../reports/roc.json", "", "reports/a\x00b"],
)
def test_no_path_leads_out_of_the_run(
    browser: Client, project: Project, user: User, path: str
) -> None:
    run = make_told_run(project, user)
    answer = browser.get(f"/api/v1/runs/{run.uuid}/artifacts/download/", {"path": path})
    assert answer.status_code in (400, 404)


def test_a_link_in_place_of_an_artifact_is_refused(
    browser: Client, project: Project, user: User
) -> None:
    run = make_told_run(project, user)
    file = run.artifact_path / "reports" / "roc.json"
    file.unlink()
    file.symlink_to("/etc/passwd")
    at = f"/api/v1/runs/{run.uuid}/"
    assert browser.get(f"{at}artifacts/download/", {"path": "reports/roc.json"}).status_code == 409
    assert browser.get(f"{at}reports/roc/").status_code == 409
    assert browser.get(f"{at}reports/pr/").status_code == 404


def test_series_are_in_order_of_steps(browser: Client, project: Project, user: User) -> None:
    run = with_metrics(project, user, "one", test_auc=0.9)
    at = f"/api/v1/runs/{run.uuid}/metrics/"
    assert browser.get(at).json() == {"series": {"test.auc": [[0, 0.01], [1, 0.9]]}}
    assert browser.get(at, {"key": "test.f1"}).status_code == 400


def test_tags_are_set_and_removed(project: Project, user: User) -> None:
    run = make_run(project, user)
    set_tags(run, tags={"owner": "Ada", "note": "x"}, user=user)
    set_tags(run, tags={"note": None}, user=user)
    assert dict(run.tags.values_list("key", "value")) == {"owner": "Ada"}
    with pytest.raises(ValidationError):
        set_tags(run, tags={"": "x"}, user=user)


def test_experiment_keeps_only_definitions_that_hold(project: Project, user: User) -> None:
    made = create_experiment(project, slug="kept", specs={"plain": DEFINITION}, user=user)
    assert made.specs == {"plain": DEFINITION}
    with pytest.raises(ValidationError) as caught:
        update_experiment(made, specs={"plain": {**DEFINITION, "depth": 3}}, user=user)
    assert "specs.plain.depth" in caught.value.message_dict


def end(run: Run, outputs: dict[str, Any], state: State = State.SUCCEEDED) -> Run:
    now = timezone.now()
    Job.objects.filter(pk=run.job_id).update(
        state=state, finished_at=now, next_poll_at=None, outputs=outputs
    )
    finish_run(Job.objects.get(pk=run.job_id))
    return Run.objects.get(pk=run.pk)


def test_what_a_job_says_wrongly_is_left_out(project: Project, user: User) -> None:
    run = make_run(project, user)
    told = {
        "metrics": [["test.auc", 0, 0.5], ["x", "1", 2], ["y", 0, None], ["z", 0, True], 7, []],
        "params": ["no", "object"],
        "artifacts": [
            {"path": "../up", "size_bytes": 1, "sha256": "0" * 64},
            {"path": "a.json", "size_bytes": -1, "sha256": "0" * 64},
            {"path": "b.json", "size_bytes": 1, "sha256": "0" * 64},
            {"path": "b.json", "size_bytes": 1, "sha256": "1" * 64},
            "c.json",
        ],
        "code_digest": "<script>",
        "packages": None,
    }
    run = end(run, told)
    assert [each.key for each in run.metrics.all()] == ["test.auc"]
    assert [each.path for each in run.artifacts.all()] == ["b.json"]
    assert run.code_digest == ""


def test_failed_run_is_given_nothing(project: Project, user: User) -> None:
    run = end(make_run(project, user), {"metrics": [["test.auc", 0, 1.0]]}, State.FAILED)
    assert not run.metrics.exists()


def test_newest_step_of_a_metric_is_the_one_that_counts(project: Project, user: User) -> None:
    told = {"metrics": [["loss", 2, 0.3], ["loss", 0, 0.9], ["loss", 1, 0.5]]}
    run = end(make_run(project, user), told)
    assert [each.value for each in run.metrics.filter(is_last=True)] == [0.3]
    assert "metrics" not in Job.objects.get(pk=run.job_id).outputs
