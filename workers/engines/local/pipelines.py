"""Pipelines on this machine: runs as confined processes, previews by warm ones."""

import compileall
import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from runtime.confine import landlock_abi, system_paths
from runtime.data import SYSTEM_FILES
from workers.engines.local.kinds import interpreter_paths, refuse_unconfined
from workers.engines.local.processes import ROOT, Order, ProcessJobs, write_spec
from workers.engines.local.questions import Question, Questions

# Started again when somebody kills it: what it had committed is found, the rest is done anew.
RESTARTS = 2
PREVIEW_MEMORY_MB = 1024


@cache
def _compile_runtime() -> None:
    """Once per worker: the confined process may not keep what it compiles, and would do it anew
    for every run."""
    compileall.compile_dir(str(ROOT / "runtime"), quiet=2)


class PipelineJobs(ProcessJobs):
    """Runs one version of a pipeline. It may read its inputs' folders, write its outputs'."""

    def order(self, folder: Path, spec: Mapping[str, Any]) -> Order:
        refuse_unconfined(self.context)
        _compile_runtime()
        outputs = [str(each["path"]) for each in spec["outputs"].values()]
        for path in outputs:
            Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
        write_spec(folder, self._asked(folder, spec))
        code = str(ROOT / "runtime")
        inputs = {str(each["path"]) for each in spec["inputs"].values()} - set(outputs)
        system = [*system_paths(interpreter_paths(), has_network=False), *SYSTEM_FILES]
        return Order(
            argv=[sys.executable, "-I", f"{code}/pipelines/__main__.py"],
            environment={"OPENBLAS_NUM_THREADS": "1"},
            readable=[*system, code, *sorted(inputs)],
            writable=outputs,
            is_confined=landlock_abi() > 0,
            restarts=RESTARTS,
        )

    def _asked(self, folder: Path, spec: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **spec,
            "job": folder.name,
            "memory_mb": self.context.limits.get("memory_mb", 2048),
            "threads": len(os.sched_getaffinity(0)),
            "temp_folder": str(folder / "tmp"),
        }


class StepPreviews(Questions):
    """The first rows after a step, by a warm process."""

    name = "preview_step"
    seconds = 15.0

    def question(self, spec: Mapping[str, Any]) -> Question:
        return Question(
            body={**spec, "memory_mb": PREVIEW_MEMORY_MB},
            readable=[*SYSTEM_FILES, *(str(each["path"]) for each in spec["inputs"].values())],
            memory_mb=PREVIEW_MEMORY_MB + 512,
        )
