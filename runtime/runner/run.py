"""Start the process, watch over it, end it, and write down how it ended."""

import fcntl
import os
import resource
import select
import signal
import time
from dataclasses import dataclass, field
from typing import Any

from runtime.confine import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_PDEATHSIG,
    confine,
    set_process_option,
)
from runtime.files import read_json, write_json
from runtime.processes import (
    boot_id,
    descendants,
    kill_descendants,
    read_process,
    send_signal,
)
from runtime.runner.again import KILLED, take_restart

LOOK_SECONDS = 0.1
BEAT_SECONDS = 1.0
DISK_SECONDS = 2.0
GRACE_SECONDS = 5.0
MB = 1024 * 1024
SPARE_MB = 512
CANNOT_START = 127
LOG_NOTICE = "\n[More was printed than a job's log may hold; the rest is dropped.]\n"


@dataclass
class Watch:
    """What is known of the process while it runs. Sizes in bytes, times in seconds."""

    pid: int
    order: dict[str, Any]
    began: float = field(default_factory=time.monotonic)
    rss: int = 0
    peak_rss: int = 0
    count: int = 1
    disk: int = 0
    cpu: float = 0.0
    logged: int = 0
    status: int | None = None
    stopped_for: str = ""
    state_if_stopped: str = "failed"
    kill_at: float | None = None
    next_beat: float = 0.0
    next_disk: float = 0.0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


def main(folder: str) -> int:
    """Run the job in `folder`, unless somebody does or did: at most one process ever starts."""
    os.chdir(folder)
    lock = os.open("runner.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    if os.path.exists("runner.json") or os.path.exists("exit.json"):
        return 0
    order = read_json("job.json") or {}
    me = read_process(os.getpid())
    started = me.started if me else 0
    write_json("runner.json", {"pid": os.getpid(), "started": started, "boot_id": boot_id()})
    if os.path.exists("cancel"):
        write_json("exit.json", _ending("cancelled", "Cancelled before it started."))
        return 0
    set_process_option(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, lambda *_: open("cancel", "a").close())
    for name in ("work", "tmp"):
        os.makedirs(name, mode=0o700, exist_ok=True)
    watch = _run_once(order)
    while was_killed(watch) and (line := take_restart()):
        with open("log.txt", "a", encoding="utf-8") as log:
            log.write(line)
        began, cpu = watch.began, watch.cpu
        watch = _run_once(order, began=began, cpu=cpu)
    write_json("exit.json", _how_it_ended(watch), is_lasting=True)
    return 0


def was_killed(watch: Watch) -> bool:
    """Somebody outside ended it: not its own end, and not our limits."""
    return not watch.stopped_for and os.waitstatus_to_exitcode(watch.status or 0) in KILLED


def _run_once(order: dict[str, Any], *, began: float | None = None, cpu: float = 0.0) -> Watch:
    """Start the process and watch it to its end. Time and CPU count from the first start."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    watch = Watch(_start(order, writer), order, cpu=cpu)
    watch.began = began or watch.began
    os.close(writer)
    _beat(watch)
    _watch(watch, reader)
    os.close(reader)
    return watch


def _start(order: dict[str, Any], output: int) -> int:
    """Fork, confine, run. From the only thread: the death signal is bound to it."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        set_process_option(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(CANNOT_START)
        nothing = os.open("/dev/null", os.O_RDONLY)
        for source, target in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        _limit(order["limits"])
        os.chdir("work")
        if order["is_confined"]:
            confine(order["readable"], order["writable"], has_network=order["has_network"])
        os.execve(order["argv"][0], order["argv"], order["environment"])
    except BaseException as error:
        os.write(2, f"The process could not be started: {error}\n".encode())
    finally:
        os._exit(CANNOT_START)


def _limit(limits: dict[str, int]) -> None:
    """The kernel's own limits, as a second net under the ones `_enforce` looks after."""
    data = (limits["memory_mb"] + SPARE_MB) * MB
    for which, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, limits["disk_mb"] * MB),
        (resource.RLIMIT_NOFILE, 4096),
        (resource.RLIMIT_DATA, data),
    ):
        _, hard = resource.getrlimit(which)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (allowed, allowed))


def _watch(watch: Watch, reader: int) -> None:
    """Until nothing of the job is left: copy its output, look after its limits, beat."""
    is_open = True
    with open("log.txt", "ab", buffering=0) as log:
        while True:
            ready = select.select([reader] if is_open else [], [], [], LOOK_SECONDS)[0]
            if ready:
                is_open = _copy(watch, reader, log)
            _collect(watch)
            _enforce(watch)
            if time.monotonic() >= watch.next_beat:
                _beat(watch)
            if watch.status is not None:
                # What the job left running ends with it.
                _kill(watch)
                while is_open and select.select([reader], [], [], 0)[0]:
                    is_open = _copy(watch, reader, log)
                return


def _copy(watch: Watch, reader: int, log: Any) -> bool:
    block = os.read(reader, 65536)
    room = watch.order["limits"]["log_mb"] * MB - watch.logged
    if room > 0:
        log.write(block[:room])
        if len(block) >= room:
            log.write(LOG_NOTICE.encode())
    watch.logged += len(block)
    return bool(block)


def _collect(watch: Watch) -> None:
    """Take in whoever of the tree has ended; the first process's end is the job's."""
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        watch.cpu += usage.ru_utime + usage.ru_stime
        if pid == watch.pid:
            watch.status = status


def _enforce(watch: Watch) -> None:
    tree = descendants(os.getpid())
    watch.rss = sum(process.rss_bytes for process in tree)
    watch.peak_rss = max(watch.peak_rss, watch.rss)
    watch.count = len(tree)
    now, limits = time.monotonic(), watch.order["limits"]
    if now >= watch.next_disk:
        watch.disk = _folder_bytes()
        watch.next_disk = now + DISK_SECONDS
    if watch.kill_at is not None:
        if now >= watch.kill_at:
            _kill(watch)
        return
    if os.path.exists("cancel"):
        _stop(watch, "Cancelled.", state="cancelled")
    elif watch.seconds > limits["seconds"]:
        _stop(watch, f"It ran longer than {limits['seconds']:,} seconds and was stopped.")
    elif watch.rss > limits["memory_mb"] * MB:
        text = f"It used more than {limits['memory_mb']:,} MB of memory and was stopped."
        _stop(watch, text, grace=0)
    elif watch.count > limits["processes"]:
        text = f"It started more than {limits['processes']:,} processes and was stopped."
        _stop(watch, text, grace=0)
    elif watch.disk > limits["disk_mb"] * MB:
        text = f"It wrote more than {limits['disk_mb']:,} MB to disk and was stopped."
        _stop(watch, text, grace=0)


def _stop(watch: Watch, why: str, *, state: str = "failed", grace: float = GRACE_SECONDS) -> None:
    watch.stopped_for, watch.state_if_stopped = why, state
    watch.kill_at = time.monotonic() + grace
    if grace:
        send_signal(descendants(os.getpid()), signal.SIGTERM)
    else:
        _kill(watch)


def _kill(watch: Watch) -> None:
    kill_descendants(os.getpid(), lambda: _collect(watch))


def _folder_bytes() -> int:
    total = 0
    for folder in ("work", "tmp"):
        for path, _, names in os.walk(folder):
            for name in names:
                try:
                    total += os.lstat(os.path.join(path, name)).st_blocks * 512
                except FileNotFoundError:
                    continue
    return total


def _beat(watch: Watch) -> None:
    watch.next_beat = time.monotonic() + BEAT_SECONDS
    write_json(
        "heartbeat.json",
        {
            "at": time.time(),
            "seconds": round(watch.seconds, 1),
            "rss_mb": round(watch.rss / MB, 1),
            "processes": watch.count,
            "disk_mb": round(watch.disk / MB, 1),
        },
    )


def _how_it_ended(watch: Watch) -> dict[str, Any]:
    status = watch.status or 0
    code = os.waitstatus_to_exitcode(status)
    if watch.stopped_for:
        ending = _ending(watch.state_if_stopped, watch.stopped_for)
    elif code == 0:
        ending = _ending("succeeded", "")
    elif code < 0:
        ending = _ending("failed", f"It was ended by signal {-code} ({signal.strsignal(-code)}).")
    else:
        ending = _ending("failed", f"It ended with exit code {code}. Its log says why.")
    return {
        **ending,
        "exit_code": code,
        "seconds": round(watch.seconds, 2),
        "cpu_seconds": round(watch.cpu, 2),
        "peak_rss_mb": round(watch.peak_rss / MB, 1),
    }


def _ending(state: str, message: str) -> dict[str, Any]:
    return {"state": state, "message": message}
