"""Deploying: the routing snapshot is written for the scoring server, which then says what it made
of it. No process is started; the scoring server is there already, or the change waits for it.

`external_id` is "<number>@<when it was written>@<seconds to wait>@<endpoint>": all that a poll
needs beside the server's word.
"""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime.files import read_json, write_json
from runtime.processes import is_alive
from workers.engines.base import EngineContext, EngineUnavailable, Observation, Submission

ROUTES, APPLIED, STATUS = "routes.json", "applied.json", "status.json"
NOT_RUNNING = (
    "The scoring server does not run. It is started by `manage.py up` once `make environments` has "
    "set it up; its log is var/log/serving.log."
)
NOT_HERE = "Another endpoint's release could not be loaded. Tell a site admin, and try again."


class RouteJobs:
    """Jobs of kind `deploy`."""

    def __init__(self, context: EngineContext) -> None:
        self.folder = context.var_dir / "serving"

    def submit(self, job_id: str, spec: Mapping[str, Any], cursor: str) -> Submission:
        """Write the snapshot, unless it or a newer one is there: numbers only grow."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = int(spec["number"])
        path = self.folder / ROUTES
        try:
            there = _read(path).get("number")
            if not isinstance(there, int) or there < number:
                write_json(str(path), spec["snapshot"], is_lasting=True)
        except OSError as error:
            raise EngineUnavailable(f"The snapshot cannot be written: {error.strerror}.") from None
        return Submission(f"{number}@{time.time():.0f}@{spec['seconds']}@{spec['endpoint']}")

    def poll(self, external_id: str) -> Observation:
        number, at, seconds, endpoint = external_id.split("@")
        is_late = time.time() - float(at) > float(seconds)
        status = self._status()
        if status is None:
            if is_late:
                return Observation("failed", f"Not applied within {seconds} s. {NOT_RUNNING}")
            return Observation("running", f"Waiting. {NOT_RUNNING}")
        if status["applied"] >= int(number):
            return self._applied(status, endpoint, is_late=is_late)
        said = self._said(status, self._weights(ROUTES, endpoint))
        refused = status["refused"]
        if refused and (refused["number"] or int(number)) >= int(number):
            why = refused["message"] if refused["endpoint"] in ("", endpoint) else NOT_HERE
            text = f"The scoring server refused it, and goes on as before. {why}"
            return Observation("failed", text, said)
        if is_late:
            text = f"The scoring server has not taken it up within {seconds} s."
            return Observation("failed", f"{text} Its log is var/log/serving.log.", said)
        return Observation("running", "The scoring server is loading it.")

    def _status(self) -> dict[str, Any] | None:
        """What the scoring server says; None when none runs."""
        try:
            status = read_json(str(self.folder / STATUS))
        except ValueError:
            return None
        if status is None or not is_alive(status["pid"], status["process_started"]):
            return None
        return status

    def _applied(self, status: Mapping[str, Any], endpoint: str, *, is_late: bool) -> Observation:
        weights = self._weights(APPLIED, endpoint)
        said = self._said(status, weights)
        for uuid in (uuid for uuid, weight in weights.items() if weight):
            release = status["releases"].get(uuid) or {"state": "missing", "message": ""}
            if release["state"] != "ready":
                text = f"A release is not ready: {release['message'] or release['state']}"
                return Observation("failed" if is_late else "running", text, said)
        return Observation("succeeded", f"Applied as snapshot {status['applied']}.", said)

    def _weights(self, name: str, endpoint: str) -> dict[str, int]:
        """The endpoint's releases in a snapshot's file, with their weights."""
        for each in _read(self.folder / name).get("endpoints", []):
            if each["uuid"] == endpoint:
                return {release["uuid"]: release["weight"] for release in each["releases"]}
        return {}

    def _said(self, status: Mapping[str, Any], weights: Mapping[str, int]) -> dict[str, Any]:
        """What the endpoint's own project may know of it."""
        releases = {
            uuid: {**status["releases"][uuid], "weight": weight}
            for uuid, weight in weights.items()
            if uuid in status["releases"]
        }
        names = ("instance", "applied", "applied_at")
        return {"serving": {**{name: status.get(name) for name in names}, "releases": releases}}

    def poll_many(self, external_ids: Sequence[str]) -> dict[str, Observation]:
        return {each: self.poll(each) for each in external_ids}

    def cancel(self, external_id: str) -> None:
        """Nothing to stop: what is written is applied within a moment. Change it back instead."""

    def logs(self, external_id: str, cursor: str) -> tuple[str, str]:
        return "", cursor


def _read(path: Path) -> dict[str, Any]:
    """A snapshot; empty when there is none, or none that can be read."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
