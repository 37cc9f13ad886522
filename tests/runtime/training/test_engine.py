"""Trainings on the local engine: the contract every kind of job keeps."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from django.conf import settings

from runtime.data.delta import write_version
from runtime.processes import marked
from tests.engines.contract import EngineContract
from tests.experiments.making import DEFINITION, make_table
from tests.runtime.training.test_bad_input import document
from tests.servers import wait_until
from workers.engines.base import EngineContext, EngineError
from workers.engines.local import INFO
from workers.engines.local.processes import MARK

LIMITS = {"memory_mb": 2048, "disk_mb": 256, "processes": 64, "seconds": 120}


class TestTrainings(EngineContract):
    info = INFO
    kind = "train"
    seconds = 180.0

    @pytest.fixture
    def context(self, tmp_path: Path) -> EngineContext:
        self.lake = tmp_path / "lake"
        table = make_table(3_000)
        reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches())
        write_version(str(self.lake), reader, commit_key="a/b")
        folder = settings.ENV.environments_dir
        return EngineContext(tmp_path, "here", limits=LIMITS, environments_dir=folder)

    def spec(self, **changes: Any) -> dict[str, Any]:
        told = document(**{**DEFINITION, **changes})
        return {"run": str(uuid4()), "path": str(self.lake), "number": 0, "definition": told}

    def quick(self) -> Mapping[str, Any]:
        return self.spec()

    def lasting(self) -> Mapping[str, Any]:
        forest = {"trees": 2000, "min_samples_leaf": 1, "max_features": 1.0}
        split = {"by": "kfold", "k": 20}
        return self.spec(algorithm="random-forest", settings=forest, split=split)

    def starts(self, context: EngineContext, job_id: str) -> int:
        log = (context.var_dir / "jobs" / job_id / "log.txt").read_text()
        return log.count("rows in")

    def test_killed_training_is_begun_again_and_comes_to_the_same(
        self, context: EngineContext
    ) -> None:
        spec = self.spec(algorithm="lightgbm", settings={"iterations": 300, "patience": 0})
        outcomes = []
        for is_killed in (False, True):
            job_id = str(uuid4())
            engine = self.open(context)
            engine.submit(job_id, {**spec, "run": str(uuid4())}, "")
            if is_killed:
                kill_child(context.var_dir / "jobs" / job_id, job_id)
            seen = self.ended(context, job_id)
            assert seen.state == "succeeded", seen.message
            outcomes.append(seen.outputs["metrics"])
            if is_killed:
                assert "again" in engine.logs(job_id, "")[0]
        assert outcomes[0] == outcomes[1]

    def test_missing_environment_says_what_to_run(self, context: EngineContext) -> None:
        bare = EngineContext(context.var_dir, "here", environments_dir=context.var_dir / "none")
        with pytest.raises(EngineError, match="make environments"):
            self.open(bare).submit(str(uuid4()), self.quick(), "")

    def test_version_that_is_not_there_says_so(self, context: EngineContext) -> None:
        with pytest.raises(EngineError, match="Version 9"):
            self.open(context).submit(str(uuid4()), {**self.quick(), "number": 9}, "")


def kill_child(folder: Path, job_id: str) -> None:
    """End the training itself, once it has read its rows, as the kernel's killer might."""
    wait_until(
        lambda: (
            "rows in" in (folder / "log.txt").read_text() if (folder / "log.txt").exists() else 0
        ),
        seconds=30,
        what="the training to read",
    )
    for process in marked(MARK, job_id):
        os.kill(process.pid, signal.SIGKILL)
