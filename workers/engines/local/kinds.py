"""The kinds of job this machine runs: one class each."""

import atexit
import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from runtime.confine import landlock_abi, system_paths
from runtime.warm import NoAnswerError, WarmPool
from workers.engines.base import EngineContext, EngineError, Observation, Submission
from workers.engines.local.processes import ROOT, Order, ProcessJobs

PROBE_SECONDS = 8.0
UNCONFINED = (
    "This machine's kernel has no Landlock, so jobs cannot be confined here. Use Linux 5.13 or "
    "newer, or have a site admin accept it in the target's options."
)


def refuse_unconfined(context: EngineContext) -> None:
    """Raise EngineError where jobs could not be confined and nobody has accepted that."""
    if landlock_abi() == 0 and not context.options.get("accepts_unconfined"):
        raise EngineError(UNCONFINED)


def interpreter_paths() -> list[str]:
    return [sys.prefix, sys.base_prefix]


class CheckJobs(ProcessJobs):
    """Tries, from inside a confined process, everything such a process must not be able to do."""

    def order(self, folder: Path, spec: Mapping[str, Any]) -> Order:
        refuse_unconfined(self.context)
        var = self.context.var_dir
        code = str(ROOT / "runtime" / "check.py")
        asked = {
            "forbidden": [
                str(var / "keys" / "secret-keys"),
                str(var / "portolan.sqlite3"),
                str(var / "jobs"),
                str(folder / "job.json"),
                "/etc/passwd",
            ],
            "foreign": [str(var), str(folder), "/tmp", "/usr/local", "/dev/shm"],  # noqa: S108
            "hidden": [str(var), str(folder), "/tmp", "/dev/shm", "/proc"],  # noqa: S108
            "sockets": [str(var / "run" / "broker.sock")],
            "pid": os.getpid(),
            "abi": landlock_abi(),
            "seconds": int(spec["seconds"]),
        }
        return Order(
            argv=[sys.executable, "-I", "-S", code, json.dumps(asked)],
            readable=[*system_paths(interpreter_paths(), has_network=False), code],
            limits={"memory_mb": int(spec["memory_mb"]), "processes": 16, "disk_mb": 64},
            is_confined=landlock_abi() > 0,
        )


class BackupJobs(ProcessJobs):
    """Runs the portal's own `backup` command. Code of ours on data of ours: it is not confined,
    as it has to read the very database and keys that confinement keeps from others."""

    def order(self, folder: Path, spec: Mapping[str, Any]) -> Order:
        outputs = str(folder / "work" / "outputs.json")
        argv = [sys.executable, str(ROOT / "manage.py"), "backup", "--outputs", outputs]
        argv += ["--archive", str(spec["archive"])]
        if not spec["include_lake"]:
            argv.append("--no-lake")
        passed = {k: v for k, v in self.context.environment.items() if k.startswith("PORTOLAN_")}
        return Order(argv=argv, environment=passed, is_confined=False, has_network=True)


@cache
def _pool(folder: str) -> WarmPool:
    pool = WarmPool(folder)
    atexit.register(pool.close)
    threading.Thread(target=pool.warm_up, name="warm-up", daemon=True).start()
    return pool


class Probes:
    """Questions about this machine, answered by a warm, confined process within `submit`."""

    def __init__(self, context: EngineContext) -> None:
        self.context = context

    def submit(self, job_id: str, spec: Mapping[str, Any], cursor: str) -> Submission:
        refuse_unconfined(self.context)
        pool = _pool(str(self.context.var_dir / "jobs"))
        try:
            said = pool.ask({"topics": list(spec["topics"])}, seconds=PROBE_SECONDS)
        except NoAnswerError as error:
            raise EngineError(f"{error} Try again.") from None
        return Submission(job_id, observation=Observation("succeeded", "", said))

    def poll(self, external_id: str) -> Observation:
        return Observation("failed", "The question was not answered. Ask again.")

    def poll_many(self, external_ids: Sequence[str]) -> dict[str, Observation]:
        return {each: self.poll(each) for each in external_ids}

    def cancel(self, external_id: str) -> None:
        """Nothing to stop: a question ends with its own deadline."""

    def logs(self, external_id: str, cursor: str) -> tuple[str, str]:
        return "", cursor
