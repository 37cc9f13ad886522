"""The portal as processes: a driver, workers and ticks, on a test's own database and broker."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers import Broker

ROOT = Path(__file__).resolve().parent.parent.parent
LEASE_SECONDS = 3.0


@dataclass
class Portal:
    """Start with `with Portal(...) as portal`; every process is gone afterwards."""

    var: Path
    database_url: str
    broker: Broker
    processes: list["subprocess.Popen[Any]"] = field(default_factory=list)
    driver: "subprocess.Popen[str] | None" = None

    @property
    def folder(self) -> Path:
        """The ledger's folder."""
        return self.var / "ledger"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PORTOLAN_VAR_DIR": str(self.var),
            "PORTOLAN_DATABASE_URL": self.database_url,
            "PORTOLAN_BROKER_URL": self.broker.url,
            "PORTOLAN_LEASE_SECONDS": str(LEASE_SECONDS),
            "PORTOLAN_TICK_SECONDS": "0.2",
            "PORTOLAN_HOST_NAME": "test-host",
            "PORTOLAN_ENGINE_PACKAGES": '["workers.engines", "tests.jobs.engines"]',
            "PORTOLAN_LOG_LEVEL": "WARNING",
            "KILL_FOLDER": str(self.folder),
            "PYTHONPATH": str(ROOT),
        }

    def __enter__(self) -> "Portal":
        self.folder.mkdir(parents=True)
        self.driver = subprocess.Popen(
            [sys.executable, "-m", "tests.jobs.driver"],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ask("setup", folder=str(self.folder))
        return self

    def __exit__(self, *_: object) -> None:
        assert self.driver
        for process in [*self.processes, self.driver]:
            process.kill()
            process.wait()
        for pipe in (self.driver.stdin, self.driver.stdout):
            assert pipe
            pipe.close()

    def ask(self, question: str, **arguments: Any) -> Any:
        assert self.driver
        assert self.driver.stdin
        assert self.driver.stdout
        self.driver.stdin.write(json.dumps({"ask": question, **arguments}) + "\n")
        self.driver.stdin.flush()
        answer = json.loads(self.driver.stdout.readline())
        if "error" in answer:
            raise ConnectionError(answer["error"])
        return answer["answer"]

    def start_worker(self, module: str = "celery", *, host: str = "test-host") -> Any:
        """A worker process; `tests.jobs.killing_worker` is one that follows the kill plan."""
        arguments = ["-A", "portal.celery"] if module == "celery" else []
        options = ["worker", "-P", "threads", "-c", "4", "-Q", f"jobs,interactive,host.{host}"]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING"]
        return self._start(["-m", module, *arguments, *options, *quiet])

    def start_tick(self) -> Any:
        return self._start(["manage.py", "tick"])

    def _start(self, arguments: list[str]) -> Any:
        with (self.var / "processes.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def started(self) -> list[str]:
        """The ledger: every job that was ever started, one entry for each start."""
        path = self.folder / "started"
        return path.read_text().split() if path.exists() else []

    def are_all(self, state: str) -> bool:
        """Whether every job is in this state."""
        return set(self.ask("states")) == {state}


def kill(process: "subprocess.Popen[Any]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
