"""Processes as /proc tells of them: who descends from whom, what they use, how to end them all."""

import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass

PAGE = os.sysconf("SC_PAGE_SIZE")
KILL_ROUNDS = 200


@dataclass(frozen=True)
class Process:
    """`started` is in clock ticks since boot: with the pid it names one process for good."""

    pid: int
    parent: int
    session: int
    state: str
    started: int
    rss_bytes: int


def read_process(pid: int) -> Process | None:
    """None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read().decode("ascii", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in brackets may hold anything, brackets too: what follows the last one counts.
    words = text[text.rindex(")") + 2 :].split()
    return Process(
        pid, int(words[1]), int(words[3]), words[0], int(words[19]), int(words[21]) * PAGE
    )


def all_processes() -> list[Process]:
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [process for pid in pids if (process := read_process(pid))]


def descendants(of: int) -> list[Process]:
    """All living processes under this one, whichever way they were started."""
    children: dict[int, list[Process]] = {}
    for process in all_processes():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    todo = [of]
    while todo:
        for child in children.get(todo.pop(), []):
            found.append(child)
            todo.append(child.pid)
    return [process for process in found if process.state not in "ZX"]


def is_alive(pid: int, started: int) -> bool:
    """Whether this very process still runs: a pid alone may have been given out again."""
    process = read_process(pid)
    return process is not None and process.started == started and process.state not in "ZX"


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def send_signal(processes: Iterable[Process], number: int) -> None:
    for process in processes:
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            continue


def kill_descendants(of: int, collect: Callable[[], object] | None = None) -> None:
    """End everything under this process. Stopped first, so that nothing can fork away from it.

    `collect` takes in those that have ended, when they are this process's own.
    """
    for _ in range(KILL_ROUNDS):
        left = descendants(of)
        if not left:
            return
        send_signal(left, signal.SIGSTOP)
        send_signal(left, signal.SIGKILL)
        if collect:
            collect()


def marked(name: str, value: str) -> list[Process]:
    """Processes started with this environment variable, wherever they have gone since."""
    wanted = f"{name}={value}".encode()
    found = []
    for process in all_processes():
        try:
            with open(f"/proc/{process.pid}/environ", "rb") as file:
                if wanted in file.read().split(b"\0"):
                    found.append(process)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return [process for process in found if process.state not in "ZX"]
