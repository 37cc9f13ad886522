"""Two ticks at once, as two hosts may have: nothing is launched twice."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.processes import ROOT
from tests.servers import Postgres

pytestmark = pytest.mark.process
COUNT = 40


class Racer:
    """A process of the portal on a database; `ask` gives the number it answers."""

    def __init__(self, var: Path, database_url: str) -> None:
        here = {"PORTOLAN_VAR_DIR": str(var), "PORTOLAN_DATABASE_URL": database_url}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.schedules.racing"],
            cwd=ROOT,
            env={**os.environ, **here, "PORTOLAN_BROKER_URL": "redis://127.0.0.1:1/0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def ask(self, line: str = "") -> int:
        if line:
            self.tell(line)
        assert self.process.stdout
        return int(self.process.stdout.readline())

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(params=["sqlite", "postgres"])
def racers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Racer]]:
    if request.param == "sqlite":
        database_url = f"sqlite:///{tmp_path}/portal.sqlite3"
    else:
        server: Postgres = request.getfixturevalue("postgres")
        database_url = server.make_database(f"race{os.getpid()}_{time.time_ns()}")
    made = [Racer(tmp_path / "var", database_url) for _ in range(3)]
    yield made
    for racer in made:
        racer.end()


def test_of_three_ticks_at_once_one_launches_each_schedule(racers: list[Racer]) -> None:
    assert racers[0].ask(f"setup {COUNT}") == COUNT
    for racer in racers:
        racer.tell("sweep")
    launched = [racer.ask() for racer in racers]
    assert sum(launched) == COUNT
    assert racers[0].ask("jobs") == COUNT
    assert racers[1].ask("sweep") == 0
