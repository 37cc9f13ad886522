"""Kill rounds: real workers, killed with SIGKILL at every point of a job's way.

Each round runs twice: on SQLite with the bundled Valkey, and on PostgreSQL with Redis. Workers die
in `release` and `_end` inside the transaction that saves, in `record` around it.
"""

import json
import signal
import subprocess
import time
from collections import Counter
from functools import partial

import pytest

from tests.jobs.processes import LEASE_SECONDS, Portal, kill
from tests.servers import wait_until

pytestmark = pytest.mark.process
POINTS = [
    f"{name}:{event}"
    for name in ("claim", "submit", "transition", "release", "record", "_end")
    for event in ("call", "return")
]


def is_one_dead(workers: list["subprocess.Popen[bytes]"]) -> bool:
    return any(worker.poll() is not None for worker in workers)


def has_started(portal: Portal, count: int) -> bool:
    return len(portal.started()) >= count


def test_worker_killed_at_every_point_starts_each_job_once(portal: Portal) -> None:
    jobs = portal.ask("launch", count=len(POINTS))
    plan = dict(zip(jobs, POINTS, strict=True))
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


def test_killed_anywhere_a_job_ends_within_a_lease_and_five_seconds(portal: Portal) -> None:
    """Two workers at a time: the one that takes the job dies, the other ends it."""
    portal.start_tick()
    (portal.folder / "plan.json").write_text("{}")
    workers = [portal.start_worker("tests.jobs.killing_worker") for _ in range(2)]
    for number, point in enumerate(POINTS, 1):
        (portal.folder / "plan.json").write_text(json.dumps({"*": point}))
        portal.ask("launch", count=1)
        wait_until(partial(is_one_dead, workers), what=f"a worker to die at {point}")
        died = time.monotonic()
        workers = [worker for worker in workers if worker.poll() is None]
        workers.append(portal.start_worker("tests.jobs.killing_worker"))
        wait_until(lambda: portal.are_all("succeeded"), what=f"the job killed at {point} to end")
        assert time.monotonic() - died < LEASE_SECONDS + 5, point
        assert len(portal.started()) == len(set(portal.started())) == number


def test_paused_worker_that_wakes_up_late_changes_nothing(portal: Portal) -> None:
    """A worker stops between starting a job and saving it, as a suspended machine does."""
    (portal.folder / "plan.json").write_text(json.dumps({"*": "submit:return:STOP"}))
    paused = portal.start_worker("tests.jobs.killing_worker")
    [job] = portal.ask("launch", count=1)
    wait_until(lambda: portal.started() == [job], what="the job to start")
    portal.start_tick()
    second = portal.start_worker()
    wait_until(lambda: portal.are_all("succeeded"), what="the second worker to end it")
    kill(second)
    (portal.folder / "plan.json").write_text("{}")
    paused.send_signal(signal.SIGCONT)
    [later] = portal.ask("launch", count=1)
    wait_until(lambda: portal.are_all("succeeded"), what="the first worker to go on")
    assert portal.started() == [job, later]
    assert set(map(tuple, portal.ask("events").values())) == {("queued", "running", "succeeded")}


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


def test_cancel_of_what_no_worker_has_seen_starts_nothing(portal: Portal) -> None:
    portal.ask("launch", count=5)
    portal.ask("cancel_all")
    portal.start_tick()
    portal.start_worker()
    wait_until(lambda: portal.are_all("cancelled"), what="all to be cancelled")
    assert portal.started() == []


def test_worker_killed_after_it_passed_the_cancel_on_leaves_nothing_running(portal: Portal) -> None:
    (portal.folder / "hold").touch()
    [job] = portal.ask("launch", count=1)
    (portal.folder / "plan.json").write_text(json.dumps({"*": "_end:return"}))
    portal.start_tick()
    worker = portal.start_worker("tests.jobs.killing_worker")
    wait_until(lambda: portal.started() == [job], what="the job to start")
    portal.ask("cancel_all")
    wait_until(lambda: worker.poll() is not None, what="the worker to die")
    portal.start_worker()
    wait_until(lambda: portal.are_all("cancelled"), what="the job to be cancelled")
    assert portal.ask("events")[job].count("cancelled") == 1


def test_deadline_stops_what_runs_and_fails_it(portal: Portal) -> None:
    (portal.folder / "hold").touch()
    jobs = portal.ask("launch", count=3)
    portal.start_tick()
    portal.start_worker()
    wait_until(lambda: len(portal.started()) == 3, what="all to start")
    portal.ask("end_time")
    wait_until(lambda: portal.are_all("failed"), what="all to fail")
    assert {path.stem for path in portal.folder.glob("*.end")} == set(jobs)


def test_clock_stepped_back_an_hour_delays_nothing(portal: Portal) -> None:
    jobs = portal.ask("launch", count=3)
    portal.ask("step_clock_back", hours=1)
    portal.start_tick()
    portal.start_worker()
    wait_until(lambda: portal.are_all("succeeded"), what="all to end")
    assert Counter(portal.started()) == Counter(jobs)


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
