"""Local jobs: a folder each, a runner each, found again by whoever looks next."""

import fcntl
import json
import os
import re
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.files import read_json, write_json
from runtime.processes import boot_id, is_alive, kill_descendants, marked, send_signal
from runtime.runner.again import take_restart
from workers.engines.base import EngineContext, EngineError, Observation, Submission

ROOT = Path(__file__).resolve().parent.parent.parent.parent
RUNNER = ROOT / "runtime" / "runner" / "__main__.py"
MARK = "PORTOLAN_JOB_ID"
STARTING_SECONDS = 30.0
LOG_PIECE = 64 * 1024
MAX_OUTPUTS = 8 * 1024 * 1024
# What a terminal would obey, and what a database would choke on.
UNPRINTABLE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


_runners: list["subprocess.Popen[bytes]"] = []


@dataclass(frozen=True)
class Order:
    """What the runner is to run. Paths are absolute; `limits` as in `EngineContext`.

    `restarts`: how often a process killed from outside is started again. Only for work that comes
    out the same however often it is begun.
    """

    argv: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    readable: list[str] = field(default_factory=list)
    writable: list[str] = field(default_factory=list)
    limits: dict[str, int] = field(default_factory=dict)
    is_confined: bool = True
    has_network: bool = False
    restarts: int = 0


class ProcessJobs(ABC):
    """Jobs that are processes. `external_id` is the job's own id; its folder is `jobs/<id>`."""

    def __init__(self, context: EngineContext) -> None:
        self.context = context

    @abstractmethod
    def order(self, folder: Path, spec: Mapping[str, Any]) -> Order:
        """What to run for this spec, in this folder."""

    def folder(self, job_id: str) -> Path:
        return self.context.var_dir / "jobs" / job_id

    def submit(self, job_id: str, spec: Mapping[str, Any], cursor: str) -> Submission:
        """Write the order and start a runner. The runner's own lock and files see to it that
        however many are started, one runs the job, once."""
        folder = self.folder(job_id)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / "job.json").exists():
            write_json(str(folder / "job.json"), self._complete(folder, job_id, spec))
        if not (folder / "runner.json").exists() and not (folder / "exit.json").exists():
            self._start_runner(folder)
        return Submission(job_id)

    def _complete(self, folder: Path, job_id: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        order = self.order(folder, spec)
        own = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(folder / "work"),
            "TMPDIR": str(folder / "tmp"),
            "PYTHONUNBUFFERED": "1",
            MARK: job_id,
        }
        limits = {"log_mb": 64, **self.context.limits, **order.limits}
        writable = [str(folder / "work"), str(folder / "tmp"), "/dev/null", *order.writable]
        return {
            **vars(order),
            "environment": {**own, **order.environment},
            "limits": limits,
            "writable": writable,
        }

    def _start_runner(self, folder: Path) -> None:
        with (folder / "runner.log").open("ab") as log:
            try:
                process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(RUNNER), str(folder)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
                    start_new_session=True,
                )
            except OSError as error:
                raise EngineError(f"No process could be started: {error.strerror}.") from error
        # Kept only to be collected when it has ended: who owns the job is told by its folder.
        _runners[:] = [each for each in _runners if each.poll() is None]
        _runners.append(process)

    def poll(self, external_id: str) -> Observation:
        folder = self.folder(external_id)
        if not folder.exists():
            raise EngineError(
                "The job's folder is gone, so nothing is known of it. Launch it again."
            )
        if ended := read_json(str(folder / "exit.json")):
            return self._ended(folder, ended)
        runner = read_json(str(folder / "runner.json"))
        if runner is None:
            return self._not_begun(folder)
        if runner["boot_id"] == boot_id() and is_alive(runner["pid"], runner["started"]):
            return Observation("running", _pulse(folder))
        # It may have ended in order between the two looks.
        if ended := read_json(str(folder / "exit.json")):
            return self._ended(folder, ended)
        return self._orphaned(folder, external_id, runner)

    def poll_many(self, external_ids: Sequence[str]) -> dict[str, Observation]:
        return {each: self.poll(each) for each in external_ids if self.folder(each).exists()}

    def cancel(self, external_id: str) -> None:
        """Leave word for the runner, which looks ten times a second; before it starts, too."""
        folder = self.folder(external_id)
        if folder.exists() and not (folder / "exit.json").exists():
            (folder / "cancel").touch()

    def logs(self, external_id: str, cursor: str) -> tuple[str, str]:
        """The cursor is a place in the file, in bytes."""
        place = int(cursor or 0)
        path = self.folder(external_id) / "log.txt"
        if not path.exists():
            return "", cursor
        with path.open("rb") as file:
            file.seek(place)
            block = file.read(LOG_PIECE)
        # A character cut in two stays for the next piece, unless there is nothing but it.
        if len(block) > 4:
            block = block[: len(block) - _cut_bytes(block)]
        text = block.decode("utf-8", "replace").replace("\r\n", "\n")
        return UNPRINTABLE.sub("", text), str(place + len(block))

    def _ended(self, folder: Path, ended: dict[str, Any]) -> Observation:
        facts = {k: ended[k] for k in ("seconds", "cpu_seconds", "peak_rss_mb") if k in ended}
        try:
            outputs = str(folder / "work" / "outputs.json")
            said = read_json(outputs, max_bytes=MAX_OUTPUTS) or {}
        except ValueError as error:
            return Observation("failed", f"The job's answer cannot be read: {error}.", facts)
        message = ended["message"]
        if ended["state"] == "failed" and (text := _told(said)):
            message = text
        return Observation(ended["state"], message, {**said, **facts})

    def _not_begun(self, folder: Path) -> Observation:
        """Submitted, and no runner has come up yet: it is starting, or it never will."""
        is_held = _is_locked(folder / "runner.lock")
        again = folder / "restarts.json"
        began = (again if again.exists() else folder / "job.json").stat().st_mtime
        if again.exists() and not is_held:
            # Whoever was starting it again was killed in between; its lock keeps it to one.
            self._start_runner(folder)
        if (folder / "cancel").exists() and not is_held:
            return Observation("cancelled", "Cancelled before it started.")
        if is_held or time.time() - began < STARTING_SECONDS:
            return Observation("running", "Starting.")
        return Observation("failed", "No process came up for it. Launch it again.")

    def _orphaned(self, folder: Path, job_id: str, runner: dict[str, Any]) -> Observation:
        """The runner was killed, or the machine restarted: what it left running is ended."""
        if runner["boot_id"] == boot_id():
            strays = marked(MARK, job_id)
            for stray in strays:
                kill_descendants(stray.pid)
            send_signal(strays, 9)
        if line := take_restart(str(folder)):
            with (folder / "log.txt").open("a", encoding="utf-8") as log:
                log.write(line)
            (folder / "runner.json").unlink(missing_ok=True)
            self._start_runner(folder)
            return Observation("running", "Killed from outside; started again.")
        if runner["boot_id"] == boot_id():
            why = "The process that watched over this job was killed, so the job was ended."
        else:
            why = "The machine was restarted while this job ran."
        ending = {"state": "failed", "message": f"{why} Launch it again."}
        write_json(str(folder / "exit.json"), ending, is_lasting=True)
        return self._ended(folder, ending)


def write_spec(folder: Path, spec: Mapping[str, Any]) -> str:
    """Put the spec where the job's process reads it (`runtime.job`). Returns its path."""
    work = folder / "work"
    work.mkdir(mode=0o700, exist_ok=True)
    path = work / "spec.json"
    path.write_text(json.dumps(spec), encoding="utf-8")
    return str(path)


def _told(said: Mapping[str, Any]) -> str:
    """The job's own word for why it failed, "" when it had none."""
    error = said.get("error")
    return str(error.get("message", ""))[:2000] if isinstance(error, dict) else ""


def _cut_bytes(block: bytes) -> int:
    """How many bytes at the end begin a character that is not whole."""
    for back in range(1, 4):
        byte = block[-back]
        if byte & 0xC0 == 0xC0:
            whole = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2
            return back if back < whole else 0
        if byte & 0x80 == 0:
            return 0
    return 0


def _is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _pulse(folder: Path) -> str:
    beat = read_json(str(folder / "heartbeat.json"))
    if beat is None:
        return "Starting."
    count = beat["processes"]
    family = "1 process" if count == 1 else f"{count} processes"
    return f"{beat['seconds']:.0f} s, {beat['rss_mb']:.0f} MB, {family}"
