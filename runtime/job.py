"""What the code inside a confined job shares: how it is told what to do, and how it answers.

The engine writes `work/spec.json` before the process starts; the process runs in `work` and
leaves `outputs.json` there. An expected failure is a `JobError`: its message becomes the job's.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

SPEC_FILE = "spec.json"
OUTPUTS_FILE = "outputs.json"
EXPECTED_FAILURE = 3


class JobError(Exception):
    """What was asked cannot be done, for a reason the user can mend. `field`, `step`: where."""

    def __init__(self, message: str, *, field: str = "", step: str = "") -> None:
        super().__init__(message)
        self.message, self.field, self.step = message, field, step


def run(main: Callable[[dict[str, Any]], Mapping[str, Any]]) -> int:
    """Read the spec, do the work, leave the outputs. Returns the exit code.

    A JobError ends with code 3 and {"error": {"message", "field", "step"}} as outputs; whatever
    the work had to tell by then may be in `outputs` of the exception's `partial` attribute.
    """
    with open(SPEC_FILE, encoding="utf-8") as file:
        spec = json.load(file)
    try:
        outputs = dict(main(spec))
    except JobError as error:
        told = {"message": error.message, "field": error.field, "step": error.step}
        sys.stderr.write(error.message + "\n")
        leave({**getattr(error, "partial", {}), "error": told})
        return EXPECTED_FAILURE
    leave(outputs)
    return 0


def leave(outputs: Mapping[str, Any]) -> None:
    """Write the outputs whole or not at all. Numbers JSON has no word for become null."""
    draft = OUTPUTS_FILE + ".draft"
    with open(draft, "w", encoding="utf-8") as file:
        json.dump(_finite(outputs), file, allow_nan=False, separators=(",", ":"))
        file.flush()
        os.fsync(file.fileno())
    os.rename(draft, OUTPUTS_FILE)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
