"""Small files that are there whole or not at all."""

import json
import os
import stat
from typing import Any

MAX_BYTES = 1024 * 1024


def write_json(path: str, value: Any, *, is_lasting: bool = False) -> None:
    """Write by rename, so no reader ever sees half; `is_lasting` waits for the disk as well."""
    draft = f"{path}.{os.getpid()}.draft"
    with open(draft, "w", encoding="utf-8") as file:
        json.dump(value, file)
        if is_lasting:
            file.flush()
            os.fsync(file.fileno())
    os.rename(draft, path)


def read_json(path: str, *, max_bytes: int = MAX_BYTES) -> dict[str, Any] | None:
    """The object in a file, None when the file is missing. Raise ValueError when it is no object,
    no plain file, or larger than `max_bytes`: what a job wrote is not to be trusted."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{os.path.basename(path)} is no plain file") from error
    # Before `fdopen`, which refuses a folder in words of its own.
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
        os.close(descriptor)
        raise ValueError(
            f"{os.path.basename(path)} is no plain file of at most {max_bytes:,} bytes"
        )
    with os.fdopen(descriptor, "rb") as file:
        try:
            value = json.loads(file.read())
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{os.path.basename(path)} is not JSON") from error
    if not isinstance(value, dict):
        raise ValueError(f"{os.path.basename(path)} is not a JSON object")
    return value
