"""Evaluations on the local engine: the contract every kind of job keeps."""

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings

from runtime.drift.histograms import build_reference
from runtime.processes import marked
from tests.engines.contract import EngineContract
from tests.monitoring.world import END, KINDS, START, capture, make_columns
from tests.servers import wait_until
from workers.engines.base import EngineContext, EngineError
from workers.engines.local import INFO
from workers.engines.local.processes import MARK

LIMITS = {"memory_mb": 1024, "disk_mb": 64, "processes": 64, "seconds": 60}


class TestEvaluations(EngineContract):
    info = INFO
    kind = "evaluate"

    @pytest.fixture
    def context(self, tmp_path: Path) -> EngineContext:
        self.var, self.endpoint, self.release = tmp_path, str(uuid4()), str(uuid4())
        capture(tmp_path / "captures" / self.endpoint / self.release, make_columns(1_000))
        folder = settings.ENV.environments_dir
        return EngineContext(tmp_path, "here", limits=LIMITS, environments_dir=folder)

    def spec(self, version: str, **changes: Any) -> dict[str, Any]:
        signals = [{"signal": "psi", "threshold": 0.1, "direction": "above", "columns": []}]
        return {
            "endpoint": self.endpoint,
            "definition": {"signals": signals, "min_rows": 500},
            "window_start": START.isoformat(),
            "window_end": END.isoformat(),
            "releases": [{"uuid": self.release, "slug": "champion", "version": version}],
            **changes,
        }

    def quick(self) -> Mapping[str, Any]:
        version = str(uuid4())
        self.write_reference(self.place(version))
        return self.spec(version)

    def lasting(self) -> Mapping[str, Any]:
        """A reference that nobody writes to is read for ever."""
        version = str(uuid4())
        os.mkfifo(self.place(version))
        return self.spec(version)

    def place(self, version: str) -> Path:
        folder = self.var / "models" / version
        folder.mkdir(parents=True)
        return folder / "reference.json"

    def write_reference(self, path: Path) -> None:
        path.write_text(json.dumps(build_reference(make_columns(5_000, seed=9), KINDS)))

    def starts(self, context: EngineContext, job_id: str) -> int:
        log = (context.var_dir / "jobs" / job_id / "log.txt").read_text()
        return log.count("Evaluating")

    def test_killed_evaluation_is_begun_again(self, context: EngineContext) -> None:
        spec, job_id = self.lasting(), str(uuid4())
        self.open(context).submit(job_id, spec, "")
        log = context.var_dir / "jobs" / job_id / "log.txt"
        wait_until(lambda: log.exists() and "Evaluating" in log.read_text(), what="it to begin")
        pipe = context.var_dir / "models" / spec["releases"][0]["version"] / "reference.json"
        pipe.unlink()
        self.write_reference(pipe)
        for process in marked(MARK, job_id):
            os.kill(process.pid, signal.SIGKILL)
        seen = self.ended(context, job_id)
        assert (seen.state, seen.outputs["rows"]) == ("succeeded", 1_000), seen.message
        assert self.starts(context, job_id) == 2

    def test_missing_environment_says_what_to_run(self, context: EngineContext) -> None:
        bare = EngineContext(context.var_dir, "here", environments_dir=context.var_dir / "none")
        with pytest.raises(EngineError, match="make environments"):
            self.open(bare).submit(str(uuid4()), self.quick(), "")

    @pytest.mark.parametrize("name", ["../../keys", "", "/etc"])
    def test_path_for_an_endpoint_is_refused(self, context: EngineContext, name: str) -> None:
        with pytest.raises(EngineError, match="no uuid"):
            self.open(context).submit(str(uuid4()), {**self.quick(), "endpoint": name}, "")
