"""Registering a model here: a confined process of the training environment makes its package."""

import os
import shutil
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.confine import landlock_abi, system_paths
from runtime.files import read_json, write_json
from workers.engines.base import EngineError, Observation
from workers.engines.local.kinds import refuse_unconfined
from workers.engines.local.processes import ROOT, Order, ProcessJobs, write_spec

NO_ENVIRONMENT = (
    "The training environment is not set up here. Run `make environments`, then launch it again."
)
RESTARTS = 2


class RegisterJobs(ProcessJobs):
    """Reads one run's artifacts, writes one draft folder; the package appears whole, by rename."""

    def order(self, folder: Path, spec: Mapping[str, Any]) -> Order:
        refuse_unconfined(self.context)
        prefix = self.context.environments_dir / "train"
        python = prefix / "bin" / "python"
        if not python.exists():
            raise EngineError(NO_ENVIRONMENT)
        final = self.context.var_dir / "models" / str(UUID(spec["version"]))
        draft = final.with_name(f"{final.name}.draft")
        draft.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Where the process itself cannot write: it does not choose what is moved where.
        write_json(str(folder / "placing.json"), {"draft": str(draft), "final": str(final)})
        write_spec(folder, {**spec, "package": str(draft)})
        prefixes = [str(prefix), sys.base_prefix, os.path.realpath(python)]
        return Order(
            argv=[str(python), "-I", str(ROOT / "runtime" / "conversion" / "__main__.py")],
            readable=[
                *system_paths(prefixes, has_network=False),
                str(ROOT / "runtime"),
                str(spec["artifacts"]),
            ],
            writable=[str(draft)],
            is_confined=landlock_abi() > 0,
            restarts=RESTARTS,
        )

    def _ended(self, folder: Path, ended: dict[str, Any]) -> Observation:
        seen = super()._ended(folder, ended)
        placing = read_json(str(folder / "placing.json"))
        if placing is None:
            return seen
        draft, final = Path(placing["draft"]), Path(placing["final"])
        if seen.state != "succeeded":
            shutil.rmtree(draft, ignore_errors=True)
            return seen
        if not final.exists():
            if not _is_plain(draft):
                text = "The package holds something that is no plain file. Train again."
                return Observation("failed", text, seen.outputs)
            draft.rename(final)
        return seen


def _is_plain(folder: Path) -> bool:
    """Whether there is nothing in it but files and folders: no link leads out of a package."""
    if not folder.is_dir():
        return False
    kinds = (path.lstat().st_mode for path in folder.rglob("*"))
    return all(stat.S_ISREG(mode) or stat.S_ISDIR(mode) for mode in kinds)
