"""A real Celery worker that kills itself, once per job, at the point the plan names for the job.

The plan (`plan.json` in the folder named by KILL_FOLDER) maps a job's id, or `*`, to
"function:event", or to "function:event:STOP" to be stopped there instead, as by a long pause.
Nothing of ours is replaced: a profiling hook watches the functions go by, in every thread.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

FOLDER = Path(os.environ["KILL_FOLDER"])
# Where each step of a job passes: the function's name, and the file that tells it from namesakes.
WATCHED = {
    "claim": "jobs/services.py",
    "transition": "jobs/services.py",
    "submit": "ledger/engine.py",
    "record": "workers/tasks.py",
    "release": "jobs/services.py",
    "_end": "workers/tasks.py",
}


def watch(frame: FrameType, event: str, _: Any) -> None:
    name = frame.f_code.co_name
    if name not in WATCHED or event not in ("call", "return"):
        return
    if not frame.f_code.co_filename.endswith(WATCHED[name]):
        return
    job_id = frame.f_locals.get("job_id") or str(frame.f_locals["job"].pk)
    plan: dict[str, str] = json.loads((FOLDER / "plan.json").read_text())
    place, pause, _ = plan.get(job_id, plan.get("*", "")).partition(":STOP")
    if place == f"{name}:{event}" and _first_time(job_id):
        os.kill(os.getpid(), signal.SIGSTOP if pause else signal.SIGKILL)


def _first_time(job_id: str) -> bool:
    try:
        os.close(os.open(FOLDER / f"{job_id}.killed", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


if __name__ == "__main__":
    threading.setprofile(watch)
    from portal.celery import app

    app.worker_main(sys.argv[1:])
