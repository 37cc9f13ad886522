"""The walk from raw rows to a monitored endpoint, step by step, each found again if it is there."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portal.demo.client import Client, Failed, Refused
from portal.demo.replay import Replay, Score

ATTEMPTS = 3
PROJECT = "churn"
INGESTED = ("transactions", "products", "demographics")
PIPELINE = FEATURES = "household-features"
LATER = "household-later-weeks"
EXPERIMENT = MODEL = "churn"
ENDPOINT = MONITOR = "household-churn"
WEIGHTS = {"champion": 90, "challenger": 10}
CHOSEN_BY = "validation.auc"
BASELINES = ("visits_4w", "visits_12w", "active_weeks_12w", "days_since_visit")
READY_SECONDS = 60.0


@dataclass
class Walk:
    """One walk. `say` prints a line of progress; `made` collects what the last table shows."""

    client: Client
    file: Path
    var: Path
    serving: str
    say: Callable[[str], None]
    made: list[tuple[str, str, str]] = field(default_factory=list)

    def go(self) -> None:
        self.apply()
        self.ingest()
        run = self.run_pipeline()
        runs = self.train(run)
        champion, challenger = self.register(runs)
        endpoint = self.release(champion, challenger)
        self.replay(endpoint)
        self.evaluate(endpoint)
        self.trace(endpoint)

    # Helpers: finding what is there, launching what is not.

    def find(
        self, resource: str, matches: Callable[[dict[str, Any]], bool]
    ) -> dict[str, Any] | None:
        return self.client.first(f"/{resource}/", matches, filter=f'project = "{PROJECT}"')

    def need(self, resource: str, slug: str) -> dict[str, Any]:
        found = self.find(resource, lambda row: row["slug"] == slug)
        if found is None:
            raise Failed(f"{PROJECT} has no {slug} among its {resource}. Apply {self.file} again.")
        return found

    def note(self, what: str, value: str, address: str) -> None:
        self.made.append((what, value, f"{self.client.base}{address}"))

    def launch(
        self, path: str, body: Mapping[str, Any], key: str, thing: Callable[[Any], str]
    ) -> dict[str, Any]:
        """POST and wait for the job behind it; tried again with another key where it failed.

        The same key gives the same answer, so a walk that was cut off finds what it had launched.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self.client.post(path, body, key=f"demo-{key}-{attempt}")
                return self.client.wait(thing(answer))
            except (Failed, Refused) as error:
                gone = isinstance(error, Failed) or error.status == 404
                if attempt == ATTEMPTS or not gone:
                    raise
                self.say(f"{error} Trying again.")
        raise AssertionError("the last attempt returns or raises")

    # The stages.

    def apply(self) -> None:
        answer = self.client.post("/project-files/apply/", {"document": self.file.read_text()})
        counts: dict[str, int] = {}
        for step in answer["steps"]:
            counts[step["action"]] = counts.get(step["action"], 0) + 1
        told = ", ".join(f"{count} {action}" for action, count in sorted(counts.items()))
        self.say(f"Project file applied: {told}.")
        address = f"/p/{PROJECT}/"
        self.note("Project", PROJECT, address)

    def ingest(self) -> None:
        for slug in INGESTED:
            dataset = self.need("datasets", slug)
            version = self.newest(slug)
            is_new = version is None
            if version is None:
                path = f"/datasets/{dataset['uuid']}/ingest/"
                self.launch(path, {}, f"ingest-{dataset['uuid']}", _job)
                version = self.newest(slug)
            if version is None:
                raise Failed(f"{slug} was ingested, but has no version.")
            self.say(f"Dataset {slug}: {version['row_count']:,} rows{_again(is_new)}.")
            address = f"/api/v1/dataset-versions/{version['uuid']}/"
            self.note(f"Dataset {slug}", f"{version['row_count']:,} rows", address)

    def newest(self, dataset: str) -> dict[str, Any] | None:
        return self.find("dataset-versions", lambda row: row["dataset"] == dataset)

    def run_pipeline(self) -> dict[str, Any]:
        pipeline = self.need("pipelines", PIPELINE)
        done = self.find(
            "pipeline-runs",
            lambda row: (
                row["pipeline"] == PIPELINE
                and row["state"] == "succeeded"
                and row["version"] == pipeline["version"]
            ),
        )
        run = done
        if run is None:
            key = f"run-{pipeline['uuid']}-{pipeline['version']}"
            path = f"/pipelines/{pipeline['uuid']}/launch/"
            run = self.launch(path, {}, key, lambda it: f"/pipeline-runs/{it['uuid']}/")
        rows = {name: self.newest(name) for name in (FEATURES, LATER)}
        told = ", ".join(f"{name} {row['row_count']:,} rows" for name, row in rows.items() if row)
        self.say(f"Pipeline {PIPELINE}: {told}{_again(done is None)}.")
        self.note(f"Pipeline {PIPELINE}", told, f"/api/v1/pipeline-runs/{run['uuid']}/")
        return run

    def train(self, run: Mapping[str, Any]) -> list[dict[str, Any]]:
        """All trainings at once; the worker takes as many as it may."""
        version = self.newest(FEATURES)
        if version is None:
            raise Failed(f"{FEATURES} has no version to learn from.")
        specs = self.need("experiments", EXPERIMENT)["specs"]
        trained = [self._trained(name, spec, version) for name, spec in specs.items()]
        runs = [each if each["state"] == "succeeded" else self._wait(each) for each in trained]
        runs.sort(key=lambda each: -each["metrics"][CHOSEN_BY])
        for each in runs:
            scores = each["metrics"]
            self.say(
                f"  {each['name']:<24} validation AUC {scores[CHOSEN_BY]:.4f}, "
                f"test AUC {scores['test.auc']:.4f}, "
                f"average precision {scores['test.average_precision']:.4f}"
            )
        self._tell_baselines(runs[0]["metrics"])
        for each in runs:
            told = f"test AUC {each['metrics']['test.auc']:.4f}"
            self.note(f"Run {each['name']}", told, f"/api/v1/runs/{each['uuid']}/")
        return runs

    def _trained(
        self, name: str, spec: Mapping[str, Any], version: Mapping[str, Any]
    ) -> dict[str, Any]:
        found = self.find(
            "runs",
            lambda row: (
                row["name"] == name
                and row["experiment"] == EXPERIMENT
                and row["dataset_version"] == version["uuid"]
                and row["state"] in ("queued", "running", "succeeded")
            ),
        )
        if found is not None:
            if found["state"] == "succeeded":
                self.say(f"Run {name}: there already.")
            return found
        body = {"project": PROJECT, "experiment": EXPERIMENT, "name": name, "definition": spec}
        answer: dict[str, Any] = self.client.post("/runs/", body)
        return answer

    def _wait(self, run: Mapping[str, Any]) -> dict[str, Any]:
        return self.client.wait(f"/runs/{run['uuid']}/")

    def _tell_baselines(self, metrics: Mapping[str, float]) -> None:
        found = {name: metrics.get(f"baseline.{name}.auc") for name in BASELINES}
        told = ", ".join(f"{name} {value:.4f}" for name, value in found.items() if value)
        self.say(f"  Naive baselines, one column each, test AUC: {told}.")

    def register(self, runs: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The best by validation is champion, the second challenger. The test score is only told:
        choosing by it would spend it."""
        versions = []
        for alias, run in zip(WEIGHTS, runs, strict=False):
            version = self._registered(run)
            if version["verdict"] != "approved":
                reason = f"{CHOSEN_BY} {run['metrics'][CHOSEN_BY]:.4f}: {alias} of this example."
                path = f"/model-versions/{version['uuid']}/approve/"
                self.client.post(path, {"reason": reason}, key=f"demo-approve-{version['uuid']}")
            versions.append(version)
            told = f"v{version['number']} {run['name']}, served by {_engine(version)}"
            self.say(f"Model {MODEL} {told}, approved as {alias}.")
            address = f"/api/v1/model-versions/{version['uuid']}/"
            self.note(f"Model {alias}", told, address)
        model = self.need("models", MODEL)
        for alias, version in zip(WEIGHTS, versions, strict=True):
            if not any(
                each["name"] == alias and each["version"] == version["uuid"]
                for each in model["aliases"]
            ):
                body = {"name": alias, "version": version["uuid"]}
                self.client.post(f"/models/{model['uuid']}/aliases/", body)
        return versions[0], versions[1]

    def _registered(self, run: Mapping[str, Any]) -> dict[str, Any]:
        found = self.find(
            "model-versions",
            lambda row: row["run"] == run["uuid"] and row["state"] == "succeeded",
        )
        if found is not None:
            return found
        body = {"project": PROJECT, "model": MODEL, "run": run["uuid"]}
        key = f"register-{run['uuid']}"
        return self.launch(
            "/model-versions/", body, key, lambda it: f"/model-versions/{it['uuid']}/"
        )

    def release(self, champion: Mapping[str, Any], challenger: Mapping[str, Any]) -> dict[str, Any]:
        endpoint = self.need("endpoints", ENDPOINT)
        path = f"/endpoints/{endpoint['uuid']}/"
        there = {each["slug"]: each for each in self.client.get(path)["releases"]}
        for slug, version in zip(WEIGHTS, (champion, challenger), strict=True):
            if slug not in there:
                body = {
                    "project": PROJECT,
                    "endpoint": ENDPOINT,
                    "slug": slug,
                    "version": version["uuid"],
                }
                self.client.post("/releases/", body, key=f"demo-release-{version['uuid']}")
        endpoint = self.client.get(path)
        weights = {each["slug"]: each["weight"] for each in endpoint["releases"]}
        if weights != WEIGHTS or not self._is_live(endpoint):
            body = {"weights": WEIGHTS, "reason": "The example's canary."}
            answer = self.client.post(f"{path}weights/", body)
            self.client.wait(f"/route-changes/{answer['uuid']}/")
            endpoint = self.client.get(path)
        told = ", ".join(f"{slug} {weight} %" for slug, weight in WEIGHTS.items())
        self.say(f"Endpoint {ENDPOINT} is live: {told}.")
        self.made.append((f"Endpoint {ENDPOINT}", told, endpoint["url"]))
        return dict(endpoint)

    def _is_live(self, endpoint: Mapping[str, Any]) -> bool:
        releases = (endpoint.get("observed") or {}).get("releases") or {}
        states = [each.get("state") for each in releases.values() if isinstance(each, dict)]
        return bool(states) and all(state == "ready" for state in states)

    def replay(self, endpoint: Mapping[str, Any]) -> None:
        version = self.newest(LATER)
        dataset = self.need("datasets", LATER)
        if version is None:
            raise Failed(f"{LATER} has no version to replay.")
        replay = Replay(self.var, self.serving, endpoint, dataset, version, self.say)
        missing = replay.missing()
        if missing:
            key = self.client.post(
                "/endpoint-keys/",
                {"project": PROJECT, "endpoint": ENDPOINT, "name": "Demo replay", "days": 1},
            )
            self._wait_for_key(replay, key)
            began = time.monotonic()
            score = replay.send(missing, key["text"])
            seconds = time.monotonic() - began
            self.client.post(f"/endpoint-keys/{key['uuid']}/revoke/")
            rate = score.sent / max(seconds, 1e-9)
            self.say(f"Replayed {score.sent:,} live requests in {seconds:.1f} s ({rate:,.0f}/s).")
        else:
            self.say("Replay: every later week is captured already.")
        shares = replay.shares()
        total = sum(shares.values())
        told = ", ".join(f"{slug} {count / total:.1%}" for slug, count in sorted(shares.items()))
        self.say(f"Captured {total:,} requests: {told}.")
        self.note(
            "Captured requests", f"{total:,}: {told}", f"/api/v1/endpoints/{endpoint['uuid']}/"
        )

    def _wait_for_key(self, replay: Replay, key: Mapping[str, Any]) -> None:
        """A new key opens the endpoint once the scoring server has the routes that name it."""
        ends = time.monotonic() + READY_SECONDS
        while not replay.opens(key["text"]):
            if time.monotonic() > ends:
                raise Failed(
                    "The scoring server does not know the new key. See var/log/serving.log."
                )
            time.sleep(0.1)

    def evaluate(self, endpoint: Mapping[str, Any]) -> None:
        monitor = self.need("monitors", MONITOR)
        path = f"/monitors/{monitor['uuid']}/evaluate/"
        found = self.launch(
            path, {}, f"evaluate-{time.time_ns()}", lambda it: f"/evaluations/{it['uuid']}/"
        )
        signals = found["results"]["signals"]
        states: dict[str, int] = {}
        for each in signals:
            states[each["state"]] = states.get(each["state"], 0) + 1
        told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        self.say(f"Monitor {MONITOR}: {found['row_count']:,} rows looked at; signals: {told}.")
        for each in signals:
            if each["state"] == "alert":
                self.say(f"  alert: {each['signal']} of {each['subject'] or 'the endpoint'}")
        self.note(f"Monitor {MONITOR}", told, f"/api/v1/evaluations/{found['uuid']}/")

    def trace(self, endpoint: Mapping[str, Any]) -> None:
        version = self.newest(LATER)
        dataset = self.need("datasets", LATER)
        if version is None:
            raise Failed(f"{LATER} has no version to trace into.")
        replay = Replay(self.var, self.serving, endpoint, dataset, version, self.say)
        request_id = replay.example()
        query = {"project": PROJECT, "endpoint": ENDPOINT, "request_id": request_id}
        chain = self.client.get("/traces/", **query)
        told = " ← ".join(_label(chain[part]) for part in CHAIN if chain.get(part))
        sources = ", ".join(each["label"] for each in chain["sources"])
        self.say(f"Traced {request_id}: {told} ← {sources}.")
        address = f"/api/v1/traces/?project={PROJECT}&endpoint={ENDPOINT}&request_id={request_id}"
        self.note("Trace of one prediction", request_id, address)


CHAIN = ("release", "model_version", "run", "dataset_version", "pipeline_run")


def _label(thing: Mapping[str, Any]) -> str:
    return str(thing["label"])


def _again(is_new: bool) -> str:
    return "" if is_new else " (there already)"


def _engine(version: Mapping[str, Any]) -> str:
    return "ONNX Runtime" if version["engine"] == "onnx" else "its own process"


def _job(answer: Mapping[str, Any]) -> str:
    return f"/jobs/{answer['id']}/"


__all__ = ["Failed", "Refused", "Score", "Walk"]
