"""A site's secrets as a job must not reach them, and ways to try. Run as a file, in a process of
its own, confined or not: `python -I -S outside.py '<JSON>'`. Exit code 0: what was tried worked.
"""

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent


def read(path: str) -> None:
    with Path(path).open("rb") as file:
        assert file.read(1)


def look_into(path: str) -> None:
    assert list(Path(path).iterdir())


def write(path: str) -> None:
    Path(path).write_text("out")


def read_through_a_link(path: str) -> None:
    Path("link").symlink_to(path)
    read("link")


def link_hard(path: str) -> None:
    Path("hard").hardlink_to(path)


def move_out(path: str) -> None:
    Path("mine").write_text("out")
    Path("mine").rename(path)


def signal(pid: str) -> None:
    os.kill(int(pid), 0)


def connect(port: str) -> None:
    socket.create_connection(("127.0.0.1", int(port)), timeout=5).close()


def use_broker(where: str) -> None:
    """As whoever has read the password file: that is the way in there is."""
    path, password_file = where.split(":")
    assert _ask_broker(path, f"AUTH {Path(password_file).read_text()}") == "+OK"


def use_broker_without_password(path: str) -> None:
    assert _ask_broker(path, "PING") == "+PONG"


def _ask_broker(path: str, command: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(path)
        connection.sendall(f"{command}\r\n".encode())
        return connection.recv(100).decode().split("\r\n")[0]


def escape(path: str) -> None:
    """Let a child try, with confinement of its own that would allow everything."""
    from runtime.confine import confine

    pid = os.fork()
    if pid == 0:
        try:
            confine(["/"], ["/"], has_network=True)
            read(path)
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, "the child was refused"


ATTEMPTS: dict[str, Callable[[str], None]] = {
    each.__name__: each
    for each in (
        read,
        look_into,
        write,
        read_through_a_link,
        link_hard,
        move_out,
        signal,
        connect,
        use_broker,
        use_broker_without_password,
        escape,
    )
}


def main(order: dict[str, Any]) -> None:
    from runtime.confine import confine, system_paths

    os.chdir(order["folder"])
    if order["is_confined"]:
        paths = system_paths([sys.prefix, sys.base_prefix], has_network=False)
        confine(paths, [order["folder"]], has_network=False)
    ATTEMPTS[order["attempt"]](order["what"])


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(json.loads(sys.argv[1]))
