"""The ledger's jobs. Files in its folder steer it:

`down` makes it unreachable, `refuse` makes it say no, `hold` keeps started jobs running,
`<job>.end` holds the state the job ends in. `started` is the ledger, `asked` every question.
"""

import fcntl
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from workers.engines.base import (
    EngineContext,
    EngineError,
    EngineUnavailable,
    JobState,
    Observation,
    Submission,
    TargetCheck,
)


class Ledger:
    def __init__(self, context: EngineContext) -> None:
        self.folder = Path(context.options["folder"])

    def submit(self, job_id: str, spec: Mapping[str, Any], cursor: str) -> Submission:
        self._reach()
        if (self.folder / "refuse").exists():
            raise EngineError("The ledger is closed to this job.")
        if cursor == "" and (self.folder / "slow").exists():
            return Submission("", cursor="half", is_complete=False)
        with (self.folder / "started").open("a+") as ledger:
            fcntl.flock(ledger, fcntl.LOCK_EX)
            ledger.seek(0)
            if job_id not in ledger.read().split():
                ledger.write(f"{job_id}\n")
        return Submission(f"ledger-{job_id}")

    def poll(self, external_id: str) -> Observation:
        self._reach()
        self._note(f"poll {external_id}")
        return self._state(external_id)

    def poll_many(self, external_ids: Sequence[str]) -> dict[str, Observation]:
        self._reach()
        self._note(f"poll_many {len(external_ids)}")
        return {each: self._state(each) for each in external_ids}

    def cancel(self, external_id: str) -> None:
        self._reach()
        self._note(f"cancel {external_id}")
        end = self.folder / f"{external_id.removeprefix('ledger-')}.end"
        if not end.exists() and not (self.folder / "deaf").exists():
            end.write_text("cancelled")

    def logs(self, external_id: str, cursor: str) -> tuple[str, str]:
        path = self.folder / f"{external_id.removeprefix('ledger-')}.log"
        if not path.exists():
            return "", cursor
        text = path.read_text()[int(cursor or 0) :][:1000]
        return text, str(int(cursor or 0) + len(text))

    def _state(self, external_id: str) -> Observation:
        end = self.folder / f"{external_id.removeprefix('ledger-')}.end"
        if end.exists():
            return Observation(cast("JobState", end.read_text()), "", {"line": external_id})
        if (self.folder / "hold").exists():
            return Observation("running", "holding")
        return Observation("succeeded", "", {"line": external_id})

    def _reach(self) -> None:
        if (self.folder / "down").exists():
            raise EngineUnavailable("The ledger does not answer.")

    def _note(self, line: str) -> None:
        descriptor = os.open(self.folder / "asked", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, f"{line}\n".encode())
        os.close(descriptor)


class Oracle(Ledger):
    """Answers within `submit`, as interactive kinds do."""

    def submit(self, job_id: str, spec: Mapping[str, Any], cursor: str) -> Submission:
        self._reach()
        answer = Observation("succeeded", "", {"topics": list(spec["topics"])})
        return Submission(job_id, observation=answer)


def look(context: EngineContext) -> TargetCheck:
    if (Path(context.options["folder"]) / "down").exists():
        raise EngineUnavailable("The ledger does not answer.")
    return TargetCheck("ready", "The ledger is open.", {"folder": str(context.options["folder"])})
