"""What a confined process can say of itself and its machine: the answers to `ask("probe")`."""

import os
import platform
import resource
import sys
from typing import Any

FORBIDDEN = ("/etc/passwd", "/root", "/home", "/proc/1/environ", "/tmp")  # noqa: S108  (tried, not used)
TOPICS = ("python", "confinement", "limits")


def answer(question: dict[str, Any], *, abi: int) -> dict[str, Any]:
    """`question` is {"topics": […]}; the answer has one object for each topic asked about."""
    said = {"python": _python, "confinement": lambda: _confinement(abi), "limits": _limits}
    return {topic: said[topic]() for topic in question.get("topics", TOPICS) if topic in said}


def _python() -> dict[str, Any]:
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "is_64_bit": sys.maxsize > 2**32,
    }


def _confinement(abi: int) -> dict[str, Any]:
    return {"landlock_abi": abi, "readable": [path for path in FORBIDDEN if _can_read(path)]}


def _can_read(path: str) -> bool:
    try:
        if os.path.isdir(path):
            os.listdir(path)
        else:
            with open(path, "rb") as file:
                file.read(1)
    except OSError:
        return False
    return True


def _limits() -> dict[str, Any]:
    names = {"files": resource.RLIMIT_NOFILE, "data_bytes": resource.RLIMIT_DATA}
    found = {name: resource.getrlimit(which)[0] for name, which in names.items()}
    return {
        name: None if value == resource.RLIM_INFINITY else value for name, value in found.items()
    }
