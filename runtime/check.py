"""The check job: from inside, tries everything a confined job must not be able to do.

Run confined, as a file, with the order as its one argument (JSON: `forbidden` paths, `foreign`
folders to write to, `hidden` ones to look into, `sockets`, `pid` of a process outside, `seconds`,
`memory_mb`). Prints one line for each attempt, writes `outputs.json`, and fails when any attempt
was allowed.
"""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

Attempt = tuple[str, Callable[[], bool]]


def attempts(order: dict[str, Any]) -> Iterator[Attempt]:
    """What to try, and a function that says whether it worked. It fails with OSError."""
    for path in order["forbidden"]:
        yield f"read {path}", partial(_read, path)
    for folder in order["foreign"]:
        yield f"write into {folder}", partial(_write, folder)
    for folder in order["hidden"]:
        yield f"look into {folder} through a link", partial(_link, folder)
    for path in order["sockets"]:
        yield f"use the broker at {path} without its password", partial(_broker, path)
    pid = order["pid"]
    yield "read the environment of the process above", partial(_read, f"/proc/{pid}/environ")
    yield "read the memory of the process above", partial(_read, f"/proc/{pid}/mem")
    if order["abi"] >= 6:
        yield "signal the process above", partial(_signal, pid)
    if order["abi"] >= 4:
        yield "listen on TCP", _listen


def _read(path: str) -> bool:
    if os.path.isdir(path):
        return os.listdir(path) is not None
    with open(path, "rb") as file:
        file.read(1)
    return True


def _write(folder: str) -> bool:
    path = os.path.join(folder, f"portolan-check-{os.getpid()}")
    with open(path, "w") as file:
        file.write("out")
    os.unlink(path)
    return True


def _link(folder: str) -> bool:
    """A symbolic link to outside must lead nowhere: what counts is where it points."""
    name = f"link-{os.path.basename(folder) or 'root'}"
    os.symlink(folder, name)
    try:
        return os.listdir(name) is not None
    finally:
        os.unlink(name)


def _broker(path: str) -> bool:
    """Connecting is not what Landlock stops: the password must."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        connection.connect(path)
        connection.sendall(b"PING\r\n")
        return not connection.recv(100).startswith(b"-")


def _signal(pid: int) -> bool:
    os.kill(pid, 0)
    return True


def _listen() -> bool:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
    return True


def main(order: dict[str, Any]) -> int:
    tried = {"denied": 0, "allowed": 0}
    for what, attempt in attempts(order):
        try:
            worked = attempt()
        except OSError:
            worked = False
        tried["allowed" if worked else "denied"] += 1
        print(f"{'ALLOWED' if worked else 'denied'}: {what}", flush=True)  # noqa: T201
    with open("own-file", "w") as file:
        file.write("allowed, as it must be")
    with open("outputs.json", "w") as file:
        json.dump({**tried, "abi": order["abi"], "python": sys.version.split()[0]}, file)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for second in range(order["seconds"]):
        print(f"{second + 1} of {order['seconds']} seconds", flush=True)  # noqa: T201
        time.sleep(1)
    return 1 if tried["allowed"] else 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
