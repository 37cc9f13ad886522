"""The warm process for questions about data: loads the libraries, waits for one question, confines
itself to what that question may read, answers, ends.

Run as a file, `python -I runtime/questions/child.py <its own folder>`. A question is a line of
JSON: `{"name", "question", "readable": [paths], "has_network": false, "memory_mb": 1024}`.
"""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

ROOT = __file__.rsplit("/", 3)[0]
# The questions asked most, loaded beforehand with all they import.
QUESTIONS = ("preview_step", "preview_source", "read_rows")
# What allocators and thread stacks map but never touch, beside the memory that is really used.
RESERVED_MB = 2048
Answer = Callable[[dict[str, Any]], Mapping[str, Any]]


def main(folder: str) -> int:
    import json

    preload()
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    asked = json.loads(line)
    answer = find_answer(str(asked["name"]))
    close_doors(folder, asked)
    said = put(answer, asked["question"])
    sys.stdout.buffer.write(json.dumps(said, allow_nan=False).encode() + b"\n")
    sys.stdout.buffer.flush()
    return 0


def preload() -> None:
    """Load what takes long to import, and leave no thread running: Landlock confines the thread
    that asks for it and those it starts, not those that are there already."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for name in ("JE_ARROW_MALLOC_CONF", "_RJEM_MALLOC_CONF"):
        os.environ[name] = "background_thread:false"
    import deltalake  # noqa: F401
    import duckdb
    import pyarrow.dataset  # noqa: F401
    import sqlglot.optimizer.qualify  # noqa: F401

    duckdb.default_connection().close()
    for name in QUESTIONS:
        find_answer(name)


def find_answer(name: str) -> Answer:
    import importlib

    if not name.isidentifier():
        raise ValueError("the name of a question is a module of runtime.questions")
    found: Answer = importlib.import_module(f"runtime.questions.{name}").answer
    return found


def close_doors(folder: str, asked: Mapping[str, Any]) -> None:
    """Limit and confine this process for good."""
    import resource

    from runtime.confine import ConfinementError, confine, landlock_abi, system_paths

    if len(os.listdir("/proc/self/task")) != 1:
        raise ConfinementError(0, "a thread was started before the process was confined")
    memory = (int(asked.get("memory_mb", 1024)) + RESERVED_MB) * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if landlock_abi():
        has_network = bool(asked.get("has_network", False))
        prefixes = [sys.prefix, sys.base_prefix, f"{ROOT}/runtime"]
        readable = [*system_paths(prefixes, has_network=has_network), *asked["readable"]]
        confine(readable, [folder], has_network=has_network)


def put(answer: Answer, question: dict[str, Any]) -> Any:
    """The answer; a refusal is one too: `{"error": {"message", "field", "step", …}}`."""
    from runtime.job import JobError
    from runtime.job import _finite as finite

    try:
        return finite(answer(question))
    except JobError as error:
        # A refusal may say more than the base class does: a column, a position.
        return {"error": finite({"message": error.message, **vars(error)})}
    except MemoryError:
        return {"error": {"message": "This takes more memory than a question may use."}}


if __name__ == "__main__":
    sys.path.insert(0, ROOT)
    code = main(sys.argv[1])
    sys.stdout.flush()
    # Nothing of ours has to be tidied up, and libraries' own ends take long.
    os._exit(code)
