"""Reading sources on this machine: ingest jobs, previews of sources, rows of datasets."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime.confine import landlock_abi, system_paths
from runtime.data import SYSTEM_FILES
from workers.engines.base import EngineContext, EngineError, Observation
from workers.engines.local.kinds import interpreter_paths, refuse_unconfined
from workers.engines.local.processes import ROOT, Order, ProcessJobs, write_spec
from workers.engines.local.questions import Question, Questions

RUNTIME = ROOT / "runtime"
SECRET_FILE = "secret"  # noqa: S105  (a file name)
IN_FILES = frozenset({"upload", "folder", "sqlite"})


class IngestJobs(ProcessJobs):
    """One process per job, which may read the source's own files and write the dataset's folder.

    Killed, it starts again: the version is committed once, under the job's id. A database's
    password lies beside the order, for this process alone, and goes when the job has ended.
    """

    def order(self, folder: Path, spec: Mapping[str, Any]) -> Order:
        refuse_unconfined(self.context)
        table = Path(spec["table"])
        table.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret = folder / SECRET_FILE
        told = {**spec, "job": folder.name}
        if text := _secret(self.context, spec):
            secret.touch(mode=0o600)
            secret.write_text(text, encoding="utf-8")
            told["secret_file"] = str(secret)
        write_spec(folder, told)
        has_network = _has_network(spec)
        paths = [*interpreter_paths(), str(RUNTIME), *_readable(spec)]
        return Order(
            argv=[sys.executable, "-I", str(RUNTIME / "data" / "__main__.py")],
            readable=[
                *system_paths(paths, has_network=has_network),
                *SYSTEM_FILES,
                str(secret),
            ],
            writable=[str(table)],
            is_confined=landlock_abi() > 0,
            has_network=has_network,
            restarts=2,
        )

    def _ended(self, folder: Path, ended: dict[str, Any]) -> Observation:
        (folder / SECRET_FILE).unlink(missing_ok=True)
        return super()._ended(folder, ended)


class SourcePreviews(Questions):
    """A source's columns and first rows; also how a connection is tested."""

    name = "preview_source"
    seconds = 12.0

    def question(self, spec: Mapping[str, Any]) -> Question:
        body = {**spec, "secret": _secret(self.context, spec)}
        return Question(body, readable=_readable(spec), has_network=_has_network(spec))


class RowReads(Questions):
    """Rows of a dataset version."""

    name = "read_rows"

    def question(self, spec: Mapping[str, Any]) -> Question:
        return Question(dict(spec), readable=[str(spec["path"])])


def _secret(context: EngineContext, spec: Mapping[str, Any]) -> str:
    reference = str(spec.get("secret", ""))
    if reference and reference not in context.secrets:
        raise EngineError("The source's secret cannot be read. Enter it again, then try again.")
    return context.secrets.get(reference, "")


def _has_network(spec: Mapping[str, Any]) -> bool:
    return str(spec["definition"]["connection"]["kind"]) not in IN_FILES


def _readable(spec: Mapping[str, Any]) -> list[str]:
    """The source's own files. A path that has become a link since it was looked at is refused."""
    path = str(spec["path"])
    if not path:
        return []
    if os.path.realpath(path) != path:
        raise EngineError("The source's path leads elsewhere than when this was launched.")
    if spec["definition"]["connection"]["kind"] == "sqlite":
        return [path, f"{path}-wal", f"{path}-journal"]
    return [path]
