"""The churn example, whole: what it shows is true, and what kills it on the way changes nothing."""

import datetime as dt
import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from portal.demo.client import Client
from runtime.data.delta import open_dataset
from tests.demo.walking import ROOT, Demo
from tests.servers import wait_until

pytestmark = [
    pytest.mark.process,
    pytest.mark.xdist_group("demo"),
    pytest.mark.skipif(
        not all((ROOT / ".envs" / name).exists() for name in ("train", "serve", "examples")),
        reason="the environments of jobs and endpoints are not set up (make environments)",
    ),
]
DATASETS = (
    "transactions", "products", "demographics", "household-features", "household-later-weeks",
)  # fmt: skip
COUNTED = (
    "sources_datasetversion", "pipelines_pipelinerun", "experiments_run", "registry_modelversion",
    "deployments_release",
)  # fmt: skip


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """An undisturbed demo, its portal still up."""
    demo = Demo(tmp_path_factory.mktemp("demo"))
    demo.start()
    try:
        demo.wait_for("The portal stays up")
        yield demo
    finally:
        demo.stop()


@pytest.fixture(scope="module")
def client(walked: Demo) -> Iterator[Client]:
    client = walked.client()
    yield client
    client.close()


def read(demo: Demo, slug: str) -> pa.Table:
    """The only version of a dataset, in an order that does not depend on how it was written."""
    rows = demo.query(
        "SELECT p.uuid, d.uuid, v.number FROM sources_datasetversion v JOIN sources_dataset d"
        " ON d.id = v.dataset_id JOIN projects_project p ON p.id = d.project_id WHERE d.slug = ?",
        slug,
    )
    assert len(rows) == 1
    folder = next((demo.var / "lake").glob(f"*/{_dashed(rows[0][1])}"))
    table = open_dataset(str(folder), rows[0][2]).to_table()
    return table.sort_by([(name, "ascending") for name in table.column_names])


def _dashed(text: str) -> str:
    return (
        "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
        if len(text) == 32
        else text
    )


def auc(truth: Any, score: Any) -> float:
    """The Mann-Whitney statistic over midranks: the chance that a positive outranks a negative."""
    order = np.argsort(score, kind="stable")
    values, first, counts = np.unique(score[order], return_index=True, return_counts=True)
    midranks = first + (counts + 1) / 2
    ranks = midranks[np.searchsorted(values, score)]
    positives = int(truth.sum())
    above = ranks[truth].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(truth) - positives)))


def captures(demo: Demo) -> pa.Table:
    found = [str(path) for path in (demo.var / "captures").glob("*/*/dt=*/hr=*/*.parquet")]
    tables = []
    for path in found:
        table = pq.ParquetFile(path).read()
        release = Path(path).relative_to(demo.var / "captures").parts[1]
        tables.append(table.append_column("release", pa.array([release] * len(table))))
    return pa.concat_tables(tables, promote_options="default")


def test_shown_scores_are_those_of_the_stored_predictions(walked: Demo, client: Client) -> None:
    features = read(walked, "household-features").select(["household_id", "week", "churned"])
    runs = [row for row in client.rows("/runs/") if row["project"] == "churn"]
    assert len(runs) == 4
    for run in runs:
        stored = pq.read_table(walked.var / "artifacts" / run["uuid"] / "predictions.parquet")
        joined = stored.join(
            features, ["household_id", "week"], join_type="inner", right_suffix="_pinned"
        )
        assert len(joined) == len(stored) > 2000
        name = "churned_pinned" if "churned_pinned" in joined.column_names else "churned"
        truth = joined[name].to_numpy(zero_copy_only=False).astype(bool)
        shown = run["metrics"]["test.auc"]
        assert auc(truth, joined["prediction"].to_numpy()) == pytest.approx(shown, abs=1e-9)
        assert shown > run["metrics"]["baseline.active_weeks_12w.auc"]


def test_the_champion_is_served_by_onnx_runtime_and_says_so(walked: Demo, client: Client) -> None:
    (endpoint,) = [row for row in client.rows("/endpoints/") if row["project"] == "churn"]
    served = endpoint["observed"]["releases"]
    assert {name: each["weight"] for name, each in served.items()} == {
        "champion": 90,
        "challenger": 10,
    }
    assert all(each["engine"].startswith("ONNX Runtime") for each in served.values())
    assert set(walked.serving()["releases"].values()) == {"ready"}


def test_every_later_week_was_captured_once_and_split_as_asked(walked: Demo) -> None:
    found = captures(walked)
    ids = found["request_id"].to_pylist()
    assert len(ids) == len(set(ids)) == len(read(walked, "household-later-weeks"))
    shares = sorted(Counter(found["release"].to_pylist()).values())
    assert shares[1] / sum(shares) == pytest.approx(0.9, abs=0.015)


def test_the_unshifted_replay_is_quiet(walked: Demo, client: Client) -> None:
    (row,) = [each for each in client.rows("/evaluations/") if each["project"] == "churn"]
    signals = client.get(f"/evaluations/{row['uuid']}/")["results"]["signals"]
    assert {each["state"] for each in signals} == {"ok"}
    assert len([each for each in signals if each["signal"] == "psi"]) > 10


def test_a_prediction_leads_back_to_rows_that_recompute_it(walked: Demo, client: Client) -> None:
    name = next(line for line in walked.lines if "Traced" in line).split()[4].rstrip(":")
    query = {"project": "churn", "request_id": name}
    chain = client.get("/traces/", **query)
    captured = chain["request"]["rows"][0]["inputs"]
    keys = chain["request"]["rows"][0]["keys"]
    assert {each["label"] for each in chain["sources"]} == set(DATASETS[:3])
    rows = client.get("/traces/rows/", **query, limit=10_000)
    told = next(
        each for each in rows["inputs"] if each["dataset_version"]["dataset"] == "transactions"
    )
    lines = [row for row in told["rows"] if row["week"] <= keys["week"]]
    assert recompute(lines, keys["week"]) == {
        each: pytest.approx(captured[each], rel=0, abs=0) for each in recompute(lines, keys["week"])
    }


def recompute(lines: list[dict[str, Any]], week: int) -> dict[str, float]:
    """Features of a household at the end of a week, from its rows of transactions, by hand."""
    recent = {
        name: [line for line in lines if week - weeks < line["week"] <= week]
        for name, weeks in (("4w", 4), ("12w", 12))
    }
    visits = {name: len({each["basket_id"] for each in found}) for name, found in recent.items()}
    cents = {
        name: sum(round(each["sales_value"] * 100) for each in found)
        for name, found in recent.items()
    }
    ends = dt.date(2017, 1, 2) + dt.timedelta(days=7 * (week - 1))
    last = max(str(each["transaction_timestamp"])[:10] for each in recent["12w"])
    return {
        "visits_4w": visits["4w"],
        "visits_12w": visits["12w"],
        "active_weeks_12w": len({each["week"] for each in recent["12w"]}),
        "spend_4w": cents["4w"] / 100,
        "spend_12w": cents["12w"] / 100,
        "basket_value_mean": cents["12w"] / 100 / visits["12w"],
        "visit_trend": visits["4w"] / visits["12w"],
        "days_since_visit": (ends - dt.date.fromisoformat(last)).days,
    }


def test_one_shifted_column_alerts_and_is_named(walked: Demo, client: Client) -> None:
    (endpoint,) = [row for row in client.rows("/endpoints/") if row["project"] == "churn"]
    (monitor,) = [row for row in client.rows("/monitors/") if row["project"] == "churn"]
    began = dt.datetime.now(dt.UTC).isoformat()
    key = client.post(
        "/endpoint-keys/", {"project": "churn", "endpoint": endpoint["slug"], "name": "shifted"}
    )
    rows = read(walked, "household-later-weeks").slice(0, 4000).to_pylist()
    for row in rows:
        row["basket_value_mean"] = row["basket_value_mean"] * 2 + 30
    wait_until(lambda: _send(endpoint["url"], key["text"], rows[:1]), what="the new key to open")
    for start in range(0, len(rows), 500):
        assert _send(endpoint["url"], key["text"], rows[start : start + 500])
    from runtime.serving.admin import flush

    flush(str(walked.var))
    made = client.post(f"/monitors/{monitor['uuid']}/evaluate/", {"window_start": began})
    found = client.wait(f"/evaluations/{made['uuid']}/")["results"]["signals"]
    drifted = [each for each in found if each["signal"] == "psi" and each["state"] == "alert"]
    assert "basket_value_mean" in {each["subject"] for each in drifted}
    assert {each["subject"] for each in drifted} <= {"basket_value_mean", "__prediction__"}
    alerts = [each["subject"] for each in client.rows("/alerts/") if each["closed_at"] is None]
    assert "basket_value_mean" in alerts


def _send(url: str, key: str, rows: list[dict[str, Any]]) -> bool:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    body = json.dumps({"rows": rows}).encode()
    request = urllib.request.Request(f"{url}/score", body, headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False


def test_kills_on_the_way_change_nothing_of_what_comes_out(
    walked: Demo, tmp_path_factory: pytest.TempPathFactory
) -> None:
    demo = Demo(tmp_path_factory.mktemp("killed"))
    killed: list[str] = []
    demo.start(watch=lambda line: _kill_at(demo, line, killed))
    try:
        demo.wait_for("The portal stays up")
    finally:
        demo.stop()
    assert set(killed) == {"web", "worker", "tick", "broker", "serving", "pipelines", "training"}
    for slug in DATASETS:
        assert read(demo, slug).equals(read(walked, slug)), slug
    for table in COUNTED:
        sql = f"SELECT count(*) FROM {table}"  # noqa: S608  (names of ours)
        assert demo.query(sql) == walked.query(sql), table
    assert scores(demo) == scores(walked)
    found = captures(demo)
    ids = found["request_id"].to_pylist()
    assert len(ids) == len(set(ids)) == len(read(demo, "household-later-weeks"))
    shares = sorted(Counter(found["release"].to_pylist()).values())
    assert shares[1] / sum(shares) == pytest.approx(0.9, abs=0.015)


def scores(demo: Demo) -> list[Any]:
    return demo.query(
        "SELECT r.name, m.key, m.value FROM experiments_metric m JOIN experiments_run r"
        " ON r.id = m.run_id WHERE m.is_last AND m.key LIKE 'test.%' ORDER BY 1, 2"
    )


def _kill_at(demo: Demo, line: str, killed: list[str]) -> None:
    """Kill one part after another as the walk goes by. Only lines of progress count."""

    def part(name: str, mark: str) -> None:
        if demo.kill_part(mark):
            killed.append(name)

    def child(area: str) -> None:
        wait_until(
            lambda: demo.kill_child(f"runtime/{area}/"), seconds=60, what=f"a process of {area}"
        )
        killed.append(area)

    if not line.startswith("["):
        return
    if "Project file applied" in line:
        part("web", "granian")
    elif "Dataset transactions" in line:
        part("worker", "celery")
    elif "Dataset demographics" in line:
        child("pipelines")
        part("broker", "valkey")
    elif "Pipeline household-features" in line:
        child("training")
        part("tick", "tick")
    elif "is live" in line:
        segments = (demo.var / "captures").glob
        wait_until(lambda: any(segments("*/*/dt=*/hr=*/*.parquet")), seconds=60, what="the replay")
        part("serving", "runtime/serving")
