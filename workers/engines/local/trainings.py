"""Trainings on this machine: the runtime's trainer, confined, in the training environment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime.confine import landlock_abi, system_paths
from workers.engines.base import EngineError
from workers.engines.local.kinds import refuse_unconfined
from workers.engines.local.processes import ROOT, Order, ProcessJobs, write_spec

NO_ENVIRONMENT = (
    "The training environment is not set up here. Run `make environments`, then launch it again."
)
# Started again when somebody kills it: it comes to the same however often it is begun.
RESTARTS = 2


def granted_threads(wanted: int | None) -> int:
    """The cores a training gets: what it asks for, at most all that this process may use."""
    available = len(os.sched_getaffinity(0))
    return min(wanted or available, available)


def thread_settings(threads: int) -> dict[str, str]:
    """Environment that keeps every numeric library to so many threads, none spinning: where others
    want the cores too, threads that spin cost eight times the time."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return {
        **dict.fromkeys(names, str(threads)),
        "OMP_WAIT_POLICY": "PASSIVE",
        # joblib's processes need /dev/shm, which a confined job has not: threads only.
        "JOBLIB_MULTIPROCESSING": "0",
    }


class TrainJobs(ProcessJobs):
    """Trains one model from one dataset version into one run's folder."""

    def order(self, folder: Path, spec: Mapping[str, Any]) -> Order:
        refuse_unconfined(self.context)
        prefix = self.context.environments_dir.absolute() / "train"
        python = prefix / "bin" / "python"
        if not python.exists():
            raise EngineError(NO_ENVIRONMENT)
        files = dataset_files(str(spec["path"]), int(spec["number"]))
        run = self.context.var_dir.absolute() / "artifacts" / str(spec["run"])
        run.mkdir(mode=0o700, parents=True, exist_ok=True)
        threads = granted_threads(spec["definition"].get("threads"))
        asked = {
            "files": files,
            "folder": str(run),
            "definition": spec["definition"],
            "threads": threads,
        }
        write_spec(folder, asked)
        base = str(python.resolve().parent.parent)
        code = str(ROOT / "runtime")
        return Order(
            argv=[str(python), "-I", f"{code}/training/__main__.py"],
            environment=thread_settings(threads),
            readable=[*system_paths([str(prefix), base], has_network=False), code, *files],
            writable=[str(run)],
            is_confined=landlock_abi() > 0,
            restarts=RESTARTS,
        )


def dataset_files(path: str, number: int) -> list[str]:
    """The Parquet files of a dataset version."""
    from deltalake.exceptions import DeltaError

    from runtime.data.delta import version_files

    try:
        return [str(each) for each in version_files(path, number)]
    except (DeltaError, OSError) as error:
        text = f"Version {number} of the dataset cannot be read ({error}). Write it again."
        raise EngineError(text) from error
