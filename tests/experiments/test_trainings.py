"""A training from its launch over REST to what it left, in a real confined process."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from django.test import Client

from apps.experiments.models import Run
from apps.experiments.reading import last_metrics
from apps.projects.models import Project, Role
from runtime.data.delta import open_dataset
from tests.experiments.making import DEFINITION, finish, make_dataset, make_run, make_table
from tests.factories import make_member, make_project

pytestmark = [pytest.mark.django_db, pytest.mark.process]


@pytest.fixture
def project() -> Project:
    project = make_project()
    make_dataset(project, make_table())
    return project


def auc(truth: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> float:
    """By its definition: the share of pairs in order, ties half."""
    negatives = np.sort(predicted[~truth])
    below = np.searchsorted(negatives, predicted[truth], "left")
    upto = np.searchsorted(negatives, predicted[truth], "right")
    return float((below + upto).sum() / 2 / (truth.sum() * (~truth).sum()))


def metrics_of(run: Run) -> dict[str, float]:
    return {each.key: each.value for each in last_metrics(run)}


def test_run_is_launched_trained_and_read_over_rest(project: Project, client: Client) -> None:
    client.force_login(
        make_member(project, Role.CONTRIBUTOR),
        backend="allauth.account.auth_backends.AuthenticationBackend",
    )
    make = {"project": project.slug, "slug": "churn"}
    assert post(client, "/api/v1/experiments/", make).status_code == 201
    body = {"project": project.slug, "experiment": "churn", "definition": DEFINITION}
    made = post(client, "/api/v1/runs/", body)
    assert made.status_code == 201, made.content
    assert made.json()["state"] == "queued"
    finish(Run.objects.get(uuid=made.json()["uuid"]))
    at = f"/api/v1/runs/{made.json()['uuid']}/"
    told = client.get(at).json()
    assert told["state"] == "succeeded", told["message"]
    assert 0.6 < told["metrics"]["test.auc"] < 1
    assert told["metrics"]["baseline.visits.auc"] > 0.6
    assert told["params"]["settings.c"] == "1.0"
    assert told["packages"]["scikit-learn"]
    assert len(told["code_digest"]) == 64
    assert client.get(f"{at}reports/roc/").json()["splits"]["test"]["curves"]["true"]["fpr"]
    file = client.get(f"{at}artifacts/download/", {"path": "model/signature.json"})
    assert json.loads(b"".join(file.streaming_content))["positive"] == "true"  # type: ignore[attr-defined]
    assert "sandbox" in file["Content-Security-Policy"]


def post(client: Client, path: str, body: dict[str, Any]) -> Any:
    return client.post(path, json.dumps(body), content_type="application/json")


def test_shown_auc_is_that_of_stored_predictions_and_pinned_version(project: Project) -> None:
    user = make_member(project, Role.CONTRIBUTOR)
    run = make_run(project, user, algorithm="lightgbm")
    pinned = run.dataset_version
    make_dataset(project, make_table(seed=9))  # a newer version changes nothing
    run = finish(run)
    assert run.job.state == "succeeded", run.job.message
    stored = pq.read_table(run.artifact_path / "predictions.parquet").to_pydict()
    table = open_dataset(str(pinned.dataset.path), pinned.number).to_table()
    truth = np.array(table["churned"])[stored["row"]].astype(bool)
    assert abs(auc(truth, np.array(stored["prediction"])) - metrics_of(run)["test.auc"]) < 1e-12
    assert table["household_id"].take(stored["row"]).to_pylist() == stored["household_id"]
    assert min(stored["week"]) >= 44
    assert stored["churned"] == truth.tolist()


@pytest.mark.parametrize(
    "algorithm", ["random-forest", "hist-gradient-boosting", "lightgbm", "logistic"]
)
def test_same_seed_gives_the_same_model(project: Project, algorithm: str) -> None:
    user = make_member(project, Role.CONTRIBUTOR)
    told = []
    for threads in (1, 2):
        run = finish(make_run(project, user, algorithm=algorithm, threads=threads))
        assert run.job.state == "succeeded", run.job.message
        told.append((metrics_of(run), hashes(run)))
    assert told[0] == told[1]


def hashes(run: Run) -> dict[str, str]:
    """Of what was learned and predicted, not of what tells how it was packed."""
    names = ("predictions.parquet", "model/signature.json", "model/reference.json")
    return dict(run.artifacts.filter(path__in=names).values_list("path", "sha256"))


def test_regression_by_folds_tells_each_fold_and_every_row(project: Project) -> None:
    draw = np.random.default_rng(3)
    table = make_table(400)
    amount = np.array(table["visits"]) * 3.0 + draw.normal(size=400)
    make_dataset(project, table.append_column("amount", [amount]), slug="amounts")
    run = make_run(
        project,
        make_member(project, Role.CONTRIBUTOR),
        dataset="amounts",
        target="amount",
        task="regression",
        algorithm="linear",
        split={"by": "kfold", "k": 4},
    )
    run = finish(run)
    assert run.job.state == "succeeded", run.job.message
    assert run.metrics.filter(key="fold.rmse").count() == 4
    assert metrics_of(run)["validation.rmse"] < metrics_of(run)["baseline.mean.rmse"] / 3
    stored = pq.read_table(run.artifact_path / "predictions.parquet").to_pydict()
    assert sorted(stored["row"]) == list(range(400))


def test_refused_training_says_why_and_leaves_nothing(project: Project) -> None:
    user = make_member(project, Role.CONTRIBUTOR)
    table = make_table()
    leaky = table.append_column("account_closed", table["churned"])
    make_dataset(project, leaky, slug="leaky")
    run = finish(make_run(project, user, dataset="leaky"))
    assert run.job.state == "failed"
    assert "account_closed" in run.job.message
    assert "allow_leakage" in run.job.message
    assert not run.metrics.exists()
    assert list(Path(run.artifact_path).iterdir()) == []


def test_training_begun_again_comes_to_the_same(project: Project) -> None:
    run = finish(make_run(project, make_member(project, Role.CONTRIBUTOR)))
    leftover = run.artifact_path / "model" / "half.bin"
    leftover.write_bytes(b"of a killed attempt")
    again = finish(make_run(project, make_member(project, Role.CONTRIBUTOR)))
    assert metrics_of(run) == metrics_of(again)
    assert hashes(run) == hashes(again)


@pytest.mark.parametrize("algorithm", ["logistic", "lightgbm", "random-forest"])
def test_more_than_two_classes_are_learned_and_scored(project: Project, algorithm: str) -> None:
    table = make_table(900)
    group = np.digitize(
        np.array(table["visits"]) + np.random.default_rng(1).normal(size=900), [3, 5]
    )
    make_dataset(project, table.append_column("group", [group]), slug="groups")
    asked: dict[str, Any] = {
        "dataset": "groups",
        "target": "group",
        "features": ["visits", "spend", "age"],
    }
    asked |= {"split": {"by": "random"}, "algorithm": algorithm}
    run = finish(make_run(project, make_member(project, Role.CONTRIBUTOR), **asked))
    assert run.job.state == "succeeded", run.job.message
    assert metrics_of(run)["test.auc"] > 0.7
    stored = pq.read_table(run.artifact_path / "predictions.parquet").to_pydict()
    for told, label, shares in zip(
        stored["prediction"], stored["label"], stored["probabilities"], strict=True
    ):
        assert told == max(shares)
        assert label == str(shares.index(told))
