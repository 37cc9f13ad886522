"""The child of the router that runs one native model: confines itself, loads it, answers.

Run as a file by the training environment's Python: `native_child.py <fd> <package> <scratch>`.
Pickles are code: nothing but the package can be read, nothing but the scratch folder written.
"""

import json
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

ROOT = __file__.rsplit("/", 3)[0]
MEMORY_BYTES = 4 * 1024**3


def main(descriptor: int, package: str, scratch: str) -> int:
    import resource
    import threading

    import runtime.serving.frames  # noqa: F401  (before the door closes)
    from runtime.confine import confine, system_paths

    parent = os.getppid()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    for which, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 64 * 1024**2),
    ):
        resource.setrlimit(which, (value, value))
    prefixes = [sys.prefix, sys.base_prefix]
    readable = [*system_paths(prefixes, has_network=False), os.path.join(ROOT, "runtime"), package]
    confine(readable, [scratch, "/dev/null"], has_network=False)
    with socket.socket(fileno=descriptor) as channel:
        return _serve(channel, package)


def _end_with(parent: int) -> None:
    """The router may be killed while the model is busy: then nobody waits for it any more."""
    import time

    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def _serve(channel: socket.socket, package: str) -> int:
    from runtime.serving.frames import ERROR, HEAD, HELLO

    def say(number: int, rows: int, columns: int, payload: bytes) -> None:
        channel.sendall(HEAD.pack(number, rows, columns, len(payload)) + payload)

    try:
        predict, label = _load(package)
    except Exception as error:
        # Whatever a pickle raises, the router is told.
        text = f"The model cannot be loaded: {type(error).__name__}: {error}"
        say(0, 0, HELLO, json.dumps({"error": text[:500]}).encode())
        return 1
    say(0, 0, HELLO, json.dumps({"engine": label}).encode())
    while head := _read(channel, HEAD.size):
        number, rows, columns, size = HEAD.unpack(head)
        if (payload := _read(channel, size)) is None:
            return 0
        try:
            raw = predict(payload, rows, columns)
        except Exception as error:
            say(number, rows, ERROR, f"{type(error).__name__}: {error}"[:500].encode())
            continue
        say(number, raw.shape[0], raw.shape[1], raw.tobytes())
    return 0


def _load(package: str) -> tuple[Callable[[bytes, int, int], Any], str]:
    """How the model is asked, and what it is called."""
    import joblib  # type: ignore[import-not-found,unused-ignore]
    import numpy as np

    with open(os.path.join(package, "package.json")) as file:
        task = json.load(file)["task"]
    model = joblib.load(os.path.join(package, "native", "native.pkl"))
    if hasattr(model, "set_params") and "n_jobs" in getattr(model, "get_params", dict)():
        model.set_params(n_jobs=1)

    def predict(payload: bytes, rows: int, columns: int) -> Any:
        matrix = np.frombuffer(payload, np.float32).reshape(rows, columns)
        raw = model.predict_proba(matrix) if task == "classification" else model.predict(matrix)
        return np.ascontiguousarray(raw, np.float64).reshape(rows, -1)

    module = type(model).__module__.partition(".")[0]
    version = getattr(sys.modules.get(module), "__version__", "")
    return predict, f"{type(model).__name__} ({module} {version})".replace(" )", ")")


def _read(channel: socket.socket, size: int) -> bytes | None:
    """So many bytes; None when the other end is closed."""
    read = bytearray()
    while len(read) < size:
        block = channel.recv(min(size - len(read), 1 << 20))
        if not block:
            return None
        read += block
    return bytes(read)


if __name__ == "__main__":
    sys.path.insert(0, ROOT)
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
