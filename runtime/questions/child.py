"""The warm process for questions about data: loads the libraries once, forks for each question.

The fork reads the question, confines itself to what that question may read, answers and ends; what
forked it has read nothing, so nothing of one person's question is there for the next's. Run as a
file, `python -I runtime/questions/child.py <its own folder>`. A question is a line of JSON:
`{"name", "question", "readable": [paths], "has_network": false, "memory_mb": 1024}`.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

ROOT = __file__.rsplit("/", 3)[0]
# The questions asked most, loaded beforehand with all they import.
QUESTIONS = ("preview_step", "preview_source", "read_rows")
# What allocators and thread stacks map but never touch, beside the memory that is really used.
RESERVED_MB = 2048
NO_MORE = 10
Answer = Callable[[dict[str, Any]], Mapping[str, Any]]


def main(folder: str) -> int:
    """Until no more questions come, or one ends otherwise than with an answer."""
    from runtime.confine import PR_SET_PDEATHSIG, set_process_option

    preload()
    while True:
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            set_process_option(PR_SET_PDEATHSIG, signal.SIGKILL)
            # Nothing of ours has to be tidied up, and libraries' own ends take long.
            os._exit(serve(folder) if os.getppid() == parent else 1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for each in os.scandir(folder):
            if each.is_dir(follow_symlinks=False):
                shutil.rmtree(each.path, ignore_errors=True)
            else:
                os.unlink(each.path)
        if code:
            return 0 if code == NO_MORE else 1


def serve(folder: str) -> int:
    """Answer one question. Returns the exit code."""
    import json

    try:
        line = sys.stdin.buffer.readline()
        if not line:
            return NO_MORE
        asked = json.loads(line)
        answer = find_answer(str(asked["name"]))
        close_doors(folder, asked)
        said = json.dumps(put(answer, asked["question"]), allow_nan=False)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    sys.stdout.buffer.write(said.encode() + b"\n")
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
    os._exit(main(sys.argv[1]))
