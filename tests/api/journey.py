"""The stages of a project, as the stranger goes through them. Each gives on what the next needs."""

import io
import json
from typing import Any

import pyarrow.parquet as pq
from jsonschema import Draft202012Validator

from tests.api.rides import FEATURES, MAX_WIND, MONITOR, PIPELINE, TRAINING, as_csv
from tests.api.stranger import Answer, Stranger, send
from tests.servers import wait_until

PROJECT = "bikes"
NAMED = {"project": PROJECT}
Row = dict[str, Any]


def gather(stranger: Stranger, rides: list[Row]) -> Row:
    """Project, upload, source, dataset, ingest. The source."""
    stranger("projects_create", {"name": "Bike demand", "slug": PROJECT})
    sent = stranger.upload(PROJECT, "hours.csv", as_csv(rides))
    source: Row = stranger("sources_create", {**NAMED, "slug": "hours", **_source(stranger, sent)})
    looked = stranger("sources_test", uuid=source["uuid"])
    assert looked["rows"][0] == {**rides[0], "ride_hour": "2024-01-01T00:00:00"}
    dataset = stranger("datasets_create", {**NAMED, "slug": "hours", "source": "hours"})
    job = stranger("datasets_ingest", {}, uuid=dataset["uuid"])
    stranger.wait("jobs_retrieve", id=job["id"])
    version = newest(stranger, "hours")
    types = {each["name"]: each["type"] for each in version["columns"]}
    assert (types["ride_hour"], types["temp_c"]) == ("timestamp[us]", "double")
    assert version["row_count"] == len(rides)
    missing = sum(ride["temp_c"] is None for ride in rides)
    assert version["profile"]["columns"]["temp_c"]["missing"] == missing > 0
    return source


def _source(stranger: Stranger, upload: Row) -> dict[str, Any]:
    connection = {"kind": "upload", "upload": upload["uuid"]}
    definition = {"connection": connection, "format": {"kind": "csv"}}
    return {"definition": stranger.keeps_to("source", definition)}


def newest(stranger: Stranger, dataset: str) -> Row:
    (found,) = stranger.find("datasets_list", f"project = {PROJECT} and slug = {dataset}")
    version: Row = stranger("dataset_versions_retrieve", uuid=found["version_uuid"])
    return version


def prepare(stranger: Stranger, rides: list[Row]) -> Row:
    """Preview, save and run the pipeline. The run."""
    definition = stranger.keeps_to("pipeline", PIPELINE)
    asked = {**NAMED, "definition": definition, "step": "calm", "limit": 5}
    names = [each["name"] for each in stranger("pipelines_preview", asked)["columns"]]
    assert names[-3:] == ["hour", "is_weekend", "temp_filled"]
    wrong = {
        "steps": {**PIPELINE["steps"], "calm": {**PIPELINE["steps"]["calm"], "query": "SELEC"}}
    }
    asked = {**NAMED, "slug": "features", "definition": wrong}
    assert "definition.steps.calm.query" in stranger.refused("pipelines_create", asked)
    pipeline = stranger("pipelines_create", {**asked, "definition": definition})
    run = stranger("pipelines_launch", {}, uuid=pipeline["uuid"])
    run = stranger.wait("pipeline_runs_retrieve", uuid=run["uuid"])
    steps = {each["name"]: each for each in run["steps"]}
    gaps = sum(ride["temp_c"] is None for ride in rides)
    assert [each["breaches"] for each in steps["checked"]["checks"]] == [0, 0, 0, gaps]
    calm = [ride for ride in rides if ride["wind_kmh"] <= MAX_WIND]
    assert steps["calm"]["rows_out"] == len(calm) < len(rides)
    written = {each["dataset_slug"]: each["rows"] for each in run["written"]}
    assert written["features"] == len(calm)
    assert 0.07 < written["sample"] / len(calm) < 0.13
    assert newest(stranger, "features")["profile"]["columns"]["temp_filled"]["missing"] == 0
    return dict(run)


def train(stranger: Stranger) -> tuple[Row, Row]:
    """Two algorithms, compared. The better run, then the other."""
    stranger("experiments_create", {**NAMED, "slug": "demand"})
    launched = []
    for algorithm in ("linear", "lightgbm"):
        definition = stranger.keeps_to("training", {**TRAINING, "algorithm": algorithm})
        asked = {**NAMED, "experiment": "demand", "definition": definition}
        launched.append(stranger("runs_create", asked)["uuid"])
    for uuid in launched:
        stranger.wait("runs_retrieve", uuid=uuid)
    told = stranger("runs_compare", {"runs": launched})
    assert told["params"]["algorithm"] == ["linear", "lightgbm"]
    linear, boosted = told["metrics"]["test.r2"]
    assert 0.4 < linear < boosted
    assert 0.85 < boosted < 1
    assert told["metrics"]["baseline.mean.r2"][1] < 0.1
    query = {"filter": f"project = {PROJECT}", "order": "-metrics.test.r2"}
    best, other = stranger("runs_list", query=query)["results"]
    return best, other


def predictions_of(stranger: Stranger, run: Row) -> dict[str, float]:
    """What the run predicted for its test rows, by key; its R² is computed again from them."""
    path = "predictions.parquet"
    raw = stranger("runs_download", uuid=run["uuid"], query={"path": path})
    rows = pq.read_table(io.BytesIO(raw)).to_pylist()
    mean = sum(row["demand"] for row in rows) / len(rows)
    left = sum((row["demand"] - row["prediction"]) ** 2 for row in rows)
    r2 = 1 - left / sum((row["demand"] - mean) ** 2 for row in rows)
    assert abs(r2 - run["metrics"]["test.r2"]) < 1e-9
    return {hour_of(row["ride_hour"]): row["prediction"] for row in rows}


def hour_of(value: Any) -> str:
    """A key as answers and files write it, to the second."""
    return str(value).replace(" ", "T")[:19]


def register(stranger: Stranger, run: Row) -> Row:
    """A version of the run's model, approved. The version."""
    if not stranger.find("models_list", f"project = {PROJECT}"):
        policy = {"needs_onnx": True, "gates": [{"metric": "test.r2", "at_least": 0.4}]}
        policy = stranger.keeps_to("policy", policy)
        stranger("models_create", {**NAMED, "slug": "demand", "policy": policy})
    asked = {**NAMED, "model": "demand", "run": run["uuid"]}
    version = stranger("model_versions_create", asked)
    version = stranger.wait("model_versions_retrieve", uuid=version["uuid"])
    assert version["engine"] == "onnx", version["conversion"]
    assert version["conversion"]["rows"] >= 1_000
    approval = stranger("model_versions_approve", {"reason": "Good."}, uuid=version["uuid"])
    assert all(each["is_met"] for each in approval["evidence"]["findings"])
    return dict(version)


def deploy(stranger: Stranger, version: Row) -> tuple[Row, Row]:
    """Alias, endpoint, release, all traffic, key. The endpoint and the key."""
    asked = {"name": "champion", "version": version["uuid"]}
    model = stranger("models_aliases_set", asked, uuid=version["model_uuid"])
    assert model["aliases"][0]["number"] == version["number"]
    definition = stranger.keeps_to("endpoint", {"model": "demand"})
    asked = {**NAMED, "slug": "demand", "definition": definition}
    endpoint = stranger("endpoints_create", asked)
    release(stranger, endpoint, version, "first")
    weigh(stranger, endpoint, {"first": 100})
    key = stranger("endpoint_keys_create", {**NAMED, "endpoint": "demand", "name": "mine"})
    return stranger("endpoints_retrieve", uuid=endpoint["uuid"]), key


def release(stranger: Stranger, endpoint: Row, version: Row, slug: str) -> None:
    asked = {**NAMED, "endpoint": endpoint["slug"], "version": version["uuid"], "slug": slug}
    stranger("releases_create", asked)


def weigh(stranger: Stranger, endpoint: Row, weights: dict[str, int]) -> None:
    """Applied, as the scoring server says itself."""
    change = stranger("endpoints_weights", {"weights": weights}, uuid=endpoint["uuid"])
    change = stranger.wait("route_changes_retrieve", uuid=change["uuid"])
    assert weights_of(stranger, endpoint, change) == weights


def weights_of(stranger: Stranger, endpoint: Row, change: Row) -> dict[str, int]:
    """What the scoring server says it serves, once it has applied the change."""
    observed = stranger("endpoints_retrieve", uuid=endpoint["uuid"])["observed"]
    assert observed["number"] >= change["number"]
    return {slug: each["weight"] for slug, each in observed["releases"].items() if each["weight"]}


class Caller:
    """A client of the endpoint, made from the endpoint's own document."""

    def __init__(self, stranger: Stranger, endpoint: Row, key: str) -> None:
        self.document = stranger("endpoints_schema", uuid=endpoint["uuid"])
        self.url, self.key = self.document["servers"][0]["url"], key
        self.row = self.document["components"]["schemas"]["Row"]

    def __call__(self, operation: str, body: Any) -> Answer:
        (path,) = [
            path
            for path, methods in self.document["paths"].items()
            for each in methods.values()
            if each["operationId"] == operation
        ]
        schemas = {"components": self.document["components"]}
        method, told = next(iter(self.document["paths"][path].items()))
        asked = told["requestBody"]["content"]["application/json"]["schema"]
        Draft202012Validator({**schemas, **asked}).validate(json.loads(json.dumps(body)))
        answer = send(method.upper(), self.url + path, body, key=self.key)
        if answer.status == 200:
            promised = told["responses"]["200"]["content"]["application/json"]["schema"]
            Draft202012Validator({**schemas, **promised}).validate(answer.body)
        return answer

    def shaped(self, rows: list[Row]) -> list[Row]:
        """Rows with what the document says a row has, and nothing else."""
        return [{name: row[name] for name in self.row["properties"]} for row in rows]


def score(stranger: Stranger, caller: Caller, run: Row) -> Answer:
    """Every row the run was tested on, by three protocols. The first answer."""
    version = stranger("dataset_versions_retrieve", uuid=run["dataset_version"])
    query = {"where": "part=july", "limit": 1000}
    told = stranger("dataset_versions_rows", uuid=version["uuid"], query=query)
    rows = caller.shaped(told["rows"])
    answer = caller("score", {"rows": rows})
    stored = predictions_of(stranger, run)
    assert len(rows) == len(stored) > 500
    got = answer.body["predictions"]
    for row, each in zip(rows, got, strict=True):
        assert abs(each - stored[hour_of(row["ride_hour"])]) < 1e-3
    few = rows[:20]
    assert caller("invocations", {"dataframe_records": few}).body["predictions"] == got[:20]
    tensors = [_tensor(name, [row[name] for row in few]) for name in FEATURES]
    said = caller("infer", {"inputs": tensors}).body["outputs"][0]["data"]
    assert said == got[:20]
    return answer


def _tensor(name: str, values: list[Any]) -> dict[str, Any]:
    kinds = {str: "BYTES", bool: "BOOL", int: "INT64"}
    datatype = kinds.get(type(next(each for each in values if each is not None)), "FP64")
    return {"name": name, "datatype": datatype, "shape": [len(values)], "data": values}


def trace(stranger: Stranger, request_id: str, source: Row, run: Row) -> Row:
    """The way back of a request, once it is captured, down to the file's own row."""
    query = {"project": PROJECT, "endpoint": "demand", "request_id": request_id}
    wait_until(lambda: stranger.ask("traces_retrieve", query=query).status == 200, what="a trace")
    told = stranger("traces_retrieve", query=query)
    assert [each["uuid"] for each in told["sources"]] == [source["uuid"]]
    assert told["pipeline_run"]["uuid"] == run["uuid"]
    assert told["release"]["slug"] == "first"
    rows = stranger("traces_rows", query={**query, "row": 7})
    assert rows["dataset_row"]["is_same"] is True
    (made,), (read,) = rows["dataset_row"]["rows"], rows["inputs"][0]["rows"]
    assert int(read["ride_hour"][11:13]) == made["hour"]
    assert read["temp_c"] in (None, made["temp_filled"])
    return dict(read)


def watch(stranger: Stranger, rows: int) -> None:
    """A monitor that finds the season unseen, and the weather as ever."""
    definition = stranger.keeps_to("monitor", MONITOR)
    monitor = stranger("monitors_create", {**NAMED, "slug": "rides", "definition": definition})
    found = stranger("monitors_evaluate", {}, uuid=monitor["uuid"])
    found = stranger.wait("evaluations_retrieve", uuid=found["uuid"])
    assert found["row_count"] == rows
    states = {(s["signal"], s["column"]): s["state"] for s in found["results"]["signals"]}
    assert states["unseen_rate", "season"] == "alert"
    assert states["psi", "weather"] == states["psi", "hour"] == "ok"
    alerts = stranger.find("alerts_list", f"project = {PROJECT} and closed_at is null")
    assert [(each["signal"], each["subject"]) for each in alerts] == [("unseen_rate", "season")]


def schedule(stranger: Stranger) -> None:
    subject = {"kind": "pipeline", "name": "features"}
    definition = stranger.keeps_to("schedule", {"subject": subject, "every": {"hours": 1}})
    made = stranger("schedules_create", {**NAMED, "slug": "hourly", "definition": definition})
    assert made["next_run_at"]
    assert stranger("schedules_disable", uuid=made["uuid"])["next_run_at"] is None
    assert stranger("schedules_enable", uuid=made["uuid"])["is_enabled"] is True


def copy(stranger: Stranger, rides: list[Row], upload: str) -> None:
    """The project file under another slug. The file that was sent stays where it was, so the
    copy is refused until it has its own."""
    text = stranger("project_files_retrieve", slug=PROJECT)["document"]
    text = text.replace(f"slug: {PROJECT}", "slug: copy", 1)
    place = "sources.hours.connection.upload"
    assert stranger.refused("project_files_plan", {"document": text}) == [place]
    stranger("projects_create", {"name": "Bike demand", "slug": "copy"})
    sent = stranger.upload("copy", "hours.csv", as_csv(rides))
    text = text.replace(upload, sent["uuid"])
    steps = stranger("project_files_apply", {"document": text})["steps"]
    assert {each["action"] for each in steps[1:]} == {"create"}
    plan = stranger("project_files_plan", {"document": text})
    assert plan["changes_something"] is False
    assert {each["action"] for each in plan["steps"]} == {"keep"}
    assert len(plan["steps"]) == 11


def roll_back(stranger: Stranger, endpoint: Row, version: Row) -> None:
    """Half the traffic to another release, and back in one call."""
    release(stranger, endpoint, version, "second")
    weigh(stranger, endpoint, {"first": 50, "second": 50})
    change = stranger("endpoints_roll_back", {"reason": "Slow."}, uuid=endpoint["uuid"])
    change = stranger.wait("route_changes_retrieve", uuid=change["uuid"])
    assert weights_of(stranger, endpoint, change) == {"first": 100}
