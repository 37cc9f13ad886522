"""Starting a job's process again after somebody outside killed it.

Only for jobs whose order says how often (`restarts`): they must come out the same however often
they are begun. The count is on disk, so it holds whoever does the starting.
"""

import os
import shutil
import signal

from runtime.files import read_json, write_json

SPEC = "spec.json"
KILLED = frozenset({-signal.SIGKILL, -signal.SIGTERM})


def take_restart(folder: str = ".") -> str:
    """Use up one restart and clear what the killed process left. Returns the line to tell of it,
    "" when none is left."""
    order = read_json(os.path.join(folder, "job.json")) or {}
    count_path = os.path.join(folder, "restarts.json")
    used = int((read_json(count_path) or {}).get("used", 0))
    allowed = int(order.get("restarts", 0))
    if used >= allowed or os.path.exists(os.path.join(folder, "cancel")):
        return ""
    write_json(count_path, {"used": used + 1}, is_lasting=True)
    _clear(folder)
    return f"\n[The process was killed from outside and starts again, {used + 1} of {allowed}.]\n"


def _clear(folder: str) -> None:
    """Back to how it was before the first start: nothing but the spec."""
    for name in ("work", "tmp"):
        path = os.path.join(folder, name)
        for inner in os.listdir(path) if os.path.isdir(path) else ():
            if (name, inner) == ("work", SPEC):
                continue
            target = os.path.join(path, inner)
            if os.path.isdir(target) and not os.path.islink(target):
                shutil.rmtree(target, ignore_errors=True)
            else:
                os.unlink(target)
