"""Kill rounds: real workers, killed with SIGKILL at every point of a job's way.

Each round runs twice: on SQLite with the bundled Valkey, and on PostgreSQL with Redis.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.jobs.processes import LEASE_SECONDS, Portal, kill
from tests.servers import Broker, Postgres, wait_until

pytestmark = pytest.mark.process
POINTS = [
    f"{name}:{event}"
    for name in ("claim", "submit", "transition", "record")
    for event in ("call", "return")
]


@pytest.fixture(params=["sqlite-valkey", "postgres-redis"])
def portal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Portal]:
    if request.param == "sqlite-valkey":
        database_url = f"sqlite:///{tmp_path}/portal.sqlite3"
        broker: Broker = request.getfixturevalue("valkey")
    else:
        server: Postgres = request.getfixturevalue("postgres")
        database_url = server.make_database(f"kills{os.getpid()}_{time.time_ns()}")
        broker = request.getfixturevalue("redis_server")
    with Portal(tmp_path / "var", database_url, broker.url) as portal:
        yield portal


def has_started(portal: Portal, count: int) -> bool:
    return len(portal.started()) >= count


def test_worker_killed_at_every_point_starts_each_job_once(portal: Portal) -> None:
    jobs = portal.ask("launch", count=len(POINTS) * 2)
    plan = {job: POINTS[number % len(POINTS)] for number, job in enumerate(jobs)}
    (portal.folder / "plan.json").write_text(json.dumps(plan))
    portal.start_tick()
    worker = portal.start_worker("tests.jobs.killing_worker")

    def all_ended() -> bool:
        nonlocal worker
        if worker.poll() is not None:
            worker = portal.start_worker("tests.jobs.killing_worker")
        return portal.are_all("succeeded")

    wait_until(all_ended, seconds=120, what="every job to end")
    assert Counter(portal.started()) == Counter(jobs)
    assert len(list(portal.folder.glob("*.killed"))) == len(jobs)
    told = portal.ask("events")
    assert set(map(tuple, told.values())) == {("queued", "running", "succeeded")}


def test_job_of_a_dead_worker_ends_within_a_lease_and_five_seconds(portal: Portal) -> None:
    [job] = portal.ask("launch", count=1)
    (portal.folder / "plan.json").write_text(json.dumps({job: "submit:return"}))
    portal.start_tick()
    worker = portal.start_worker("tests.jobs.killing_worker")
    wait_until(lambda: worker.poll() is not None, what="the worker to die")
    portal.start_worker()
    began = time.monotonic()
    wait_until(lambda: portal.are_all("succeeded"), what="the job to end")
    assert time.monotonic() - began < LEASE_SECONDS + 5
    assert portal.started() == [job]


def test_two_workers_racing_for_a_thousand_jobs_start_each_once(portal: Portal) -> None:
    portal.ask("launch_many", count=1000)
    workers = [portal.start_worker(), portal.start_worker()]
    portal.start_tick()
    wait_until(lambda: portal.are_all("succeeded"), seconds=120, what="all to end")
    assert all(worker.poll() is None for worker in workers)
    assert len(portal.started()) == len(set(portal.started())) == 1000


def test_lost_nudge_is_found_by_the_sweep(portal: Portal) -> None:
    jobs = portal.ask("launch", count=3, is_quiet=True)
    portal.start_worker()
    portal.start_tick()
    wait_until(lambda: portal.are_all("succeeded"), what="all to end")
    assert Counter(portal.started()) == Counter(jobs)


def test_cancel_of_everything_leaves_nothing_running(portal: Portal) -> None:
    (portal.folder / "hold").touch()
    portal.ask("launch", count=20)
    portal.start_worker()
    portal.start_tick()
    wait_until(lambda: len(portal.started()) > 5, what="some to start")
    portal.ask("cancel_all")
    wait_until(lambda: portal.are_all("cancelled"), what="all to be cancelled")
    ends = {path.stem for path in portal.folder.glob("*.end")}
    assert ends == set(portal.started())


def test_engine_away_for_a_while_costs_nothing(portal: Portal) -> None:
    (portal.folder / "hold").touch()
    jobs = portal.ask("launch", count=4)
    portal.start_worker()
    portal.start_tick()
    wait_until(lambda: len(portal.started()) == 4, what="all to start")
    (portal.folder / "down").touch()
    (portal.folder / "hold").unlink()
    wait_until(lambda: portal.ask("unreachable") == 4, what="contact to be lost")
    assert portal.ask("states") == {"running": 4}
    (portal.folder / "down").unlink()
    wait_until(lambda: portal.are_all("succeeded"), what="all to end")
    assert Counter(portal.started()) == Counter(jobs)


def test_worker_killed_with_work_in_hand_is_followed_by_the_next(portal: Portal) -> None:
    (portal.folder / "hold").touch()
    jobs = portal.ask("launch", count=30)
    portal.start_tick()
    for started in (5, 15, 30):
        worker = portal.start_worker()
        wait_until(partial(has_started, portal, started), what=f"{started} to start")
        kill(worker)
    (portal.folder / "hold").unlink()
    portal.start_worker()
    wait_until(lambda: portal.are_all("succeeded"), what="all to end")
    assert Counter(portal.started()) == Counter(jobs)
