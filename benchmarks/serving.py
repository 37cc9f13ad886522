"""One-row scoring: the server's CPU per request, beside MLflow's server and Azure's.

`python -m benchmarks.serving`. The same scikit-learn gradient boosting of 30 features everywhere,
one row of JSON a request, answers with probabilities. Ours has its key check, a 90/10 split and
capture of every request on, its files written within the time that is counted. CPU is user and
system time of the server's whole process tree, from /proc, so that a busy machine costs noise, not
sense. The client looks for answers without a pause, lest waking its halted virtual core be counted
as the server's work; what ours costs with a client that sleeps is told beside it. Three rounds,
taking turns; the median counts. `*` marks a goal that was missed, and the exit code says so.
"""

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from benchmarks.portal import free_port
from runtime.processes import descendants

ROOT = Path(__file__).resolve().parent.parent
UV, PYTHON = ROOT / ".venv" / "bin" / "uv", ROOT / ".venv" / "bin" / "python"
SERVE, TRAIN = (ROOT / ".envs" / name / "bin" / "python" for name in ("serve", "train"))
SHARED = ["scikit-learn==1.9.1", "numpy==2.4.6"]
ROUNDS, CONNECTIONS = 3, 8
OUR_GOAL_US, MLFLOW_GOAL, AZURE_GOAL = 45.0, 20.0, 12.0
TICK = os.sysconf("SC_CLK_TCK")
KEY = "ptk_benchmark"
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}


class Server(ABC):
    """A server under load. `requests` is how many it is asked in a round."""

    name: str
    requests: int
    path: str

    def __init__(self, folder: Path, package: Path) -> None:
        self.folder, self.package, self.port = folder, package, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        example = json.loads((package / "package.json").read_text())["input_example"]
        self.row: dict[str, float] = example[0]

    @abstractmethod
    def argv(self) -> list[str]:
        """The command, every flag of which is printed."""

    @abstractmethod
    def body(self) -> dict[str, Any]:
        """One row, as this server takes it."""

    def environment(self) -> dict[str, str]:
        return {}

    def start(self) -> None:
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.argv(),
                cwd=self.folder,
                env={**os.environ, **ONE_THREAD, **self.environment()},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        ends = time.monotonic() + 120
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > ends:
                raise SystemExit((self.folder / f"{self.name}.log").read_text()[-2000:])
            time.sleep(0.2)

    def _answers(self) -> bool:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{self.path}",
            json.dumps(self.body()).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def stop(self) -> None:
        if self.process:
            os.killpg(self.process.pid, 15)
            self.process.wait(20)

    def cpu_seconds(self) -> float:
        assert self.process
        pids = [self.process.pid, *(each.pid for each in descendants(self.process.pid))]
        return sum(_cpu(pid) for pid in pids)

    def measure(self, *, is_asleep: bool = False) -> float:
        """Microseconds of CPU for a request. `is_asleep`: by a client that sleeps meanwhile."""
        body = json.dumps(self.body()).encode()
        head = [
            f"POST {self.path} HTTP/1.1",
            "Host: localhost",
            f"Authorization: Bearer {KEY}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
        request = self.folder / f"{self.name}.request"
        request.write_bytes("\r\n".join([*head, "", ""]).encode() + body)
        load = [str(SERVE), str(ROOT / "benchmarks" / "serving_load.py"), str(self.port)]

        def send(count: int) -> None:
            argv = [*load, str(CONNECTIONS), str(count), str(request)]
            argv += ["asleep"] * is_asleep
            said = subprocess.run(argv, check=True, capture_output=True, text=True)
            assert said.stdout.strip() == "0", f"{said.stdout.strip()} answers were not 200"

        send(self.requests // 10)
        before = self.cpu_seconds()
        send(self.requests)
        self.settle()
        return (self.cpu_seconds() - before) / self.requests * 1e6

    def settle(self) -> None:
        """Let it finish what it has put off."""
        return


def _cpu(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    words = text[text.rindex(")") + 2 :].split()
    # With what its ended children have used.
    return sum(int(word) for word in words[11:15]) / TICK


class Ours(Server):
    name, requests, path = "portolan", 30_000, "/churn/live/score"

    def argv(self) -> list[str]:
        entry = str(ROOT / "runtime" / "serving" / "__main__.py")
        return [str(SERVE), "-I", entry, "--var", str(self.folder), "--port", str(self.port)]

    def body(self) -> dict[str, Any]:
        return {"rows": [{**self.row, "household_id": 7}], "probabilities": True}

    def start(self) -> None:
        folder = self.folder / "serving"
        folder.mkdir(exist_ok=True)
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        entry = {
            "uuid": "e",
            "path": "churn/live",
            "keys": [{"id": "k", "digest": digest, "expires_at": None}],
            "releases": [self._release("champion", 90), self._release("challenger", 10)],
            "capture": {"is_on": True, "sample": 1.0, "columns": {}},
        }
        snapshot = {"number": 1, "made_at": "", "endpoints": [entry]}
        (folder / "routes.json").write_text(json.dumps(snapshot))
        super().start()

    def _release(self, slug: str, weight: int) -> dict[str, Any]:
        package = str(self.package)
        return {"uuid": slug, "slug": slug, "version": "v", "package": package, "weight": weight}

    def settle(self) -> None:
        from runtime.serving.admin import flush

        flush(str(self.folder))


class Mlflow(Server):
    name, requests, path = "mlflow", 1_500, "/invocations"
    needs = ["mlflow==3.17.2", *SHARED]

    def argv(self) -> list[str]:
        program = str(peer("mlflow", self.needs) / "mlflow")
        model = ["-m", str(self.folder / "mlflow-model"), "--env-manager", "local"]
        return [program, "models", "serve", *model, "-p", str(self.port), "-w", "1"]

    def environment(self) -> dict[str, str]:
        # It starts uvicorn by its name.
        return {"PATH": f"{ROOT / 'build' / 'peers' / 'mlflow' / 'bin'}:{os.environ['PATH']}"}

    def body(self) -> dict[str, Any]:
        return {"dataframe_split": {"columns": list(self.row), "data": [list(self.row.values())]}}

    def start(self) -> None:
        python = str(peer("mlflow", self.needs) / "python")
        script = str(ROOT / "benchmarks" / "serving_peer.py")
        pickle = str(self.package / "native" / "native.pkl")
        target = self.folder / "mlflow-model"
        if not target.exists():
            subprocess.run([python, script, "mlflow", pickle, str(target)], check=True)
        super().start()


class Azure(Server):
    name, requests, path = "azureml-inference-server-http", 1_500, "/score"
    needs = ["azureml-inference-server-http==1.5.1", *SHARED]

    def argv(self) -> list[str]:
        program = str(peer("azureml", self.needs) / "azmlinfsrv")
        script = str(ROOT / "benchmarks" / "serving_peer.py")
        return [program, "--entry_script", script, "--port", str(self.port)]

    def environment(self) -> dict[str, str]:
        return {"PEER_MODEL": str(self.package / "native" / "native.pkl")}

    def body(self) -> dict[str, Any]:
        return {"data": [list(self.row.values())]}


def peer(name: str, needs: list[str]) -> Path:
    """The programs of a peer's own environment, made the first time."""
    folder = ROOT / "build" / "peers" / name
    stamp = folder / "benchmark.stamp"
    if not stamp.exists() or stamp.read_text() != "\n".join(needs):
        print(f"Setting up {folder.relative_to(ROOT)} …")
        subprocess.run(
            [str(UV), "venv", "-q", "--clear", "--python", str(PYTHON), str(folder)], check=True
        )
        install = [str(UV), "pip", "install", "-q", "--compile-bytecode", "--python", str(folder)]
        subprocess.run([*install, *needs], check=True)
        stamp.write_text("\n".join(needs))
    return folder / "bin"


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="serving-", dir=ROOT / "build"))
    script = ROOT / "tests" / "runtime" / "serving" / "make_package.py"
    try:
        subprocess.run([str(TRAIN), str(script), str(folder / "packages"), "wide-onnx"], check=True)
        package = folder / "packages" / "wide-onnx"
        return _compare([each(folder, package) for each in (Ours, Mlflow, Azure)])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _compare(servers: list[Server]) -> int:
    found: dict[str, list[float]] = {each.name: [] for each in servers}
    asleep: list[float] = []
    print(f"One row, {CONNECTIONS} connections, {ROUNDS} rounds; load now {os.getloadavg()[0]:.1f}")
    try:
        for server in servers:
            server.start()
            print(f"  {server.name}: {' '.join(server.argv())}")
            print(f"    with {', '.join(getattr(server, 'needs', ['requirements/serve.txt']))}")
        for _ in range(ROUNDS):
            for server in servers:
                found[server.name].append(server.measure())
            asleep.append(servers[0].measure(is_asleep=True))
    finally:
        for server in servers:
            server.stop()
    return _tell(found, asleep)


def _tell(found: dict[str, list[float]], asleep: list[float]) -> int:
    median = {name: statistics.median(values) for name, values in found.items()}
    ours = median["portolan"]
    missed = [ours > OUR_GOAL_US]
    each = ", ".join(f"{value:.1f}" for value in found["portolan"])
    print(f"{'*' if missed[0] else ' '} portolan {ours:.1f} µs ({each}), goal {OUR_GOAL_US:g}")
    each = ", ".join(f"{value:.1f}" for value in asleep)
    print(f"    with clients that sleep {statistics.median(asleep):.1f} µs ({each})")
    for name, goal in (("mlflow", MLFLOW_GOAL), ("azureml-inference-server-http", AZURE_GOAL)):
        ratio = median[name] / ours
        missed.append(ratio < goal)
        each = ", ".join(f"{value:.0f}" for value in found[name])
        mark = "*" if missed[-1] else " "
        print(f"{mark} {name} {median[name]:.0f} µs ({each}): {ratio:.1f} times, goal {goal:g}")
    return int(any(missed))


if __name__ == "__main__":
    raise SystemExit(main())
