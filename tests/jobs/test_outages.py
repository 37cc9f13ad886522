"""Broker and database come and go; no job is lost, doubled or left behind."""

import base64
import json
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from apps.jobs.dispatch import ADVANCE, SHARED_QUEUE
from tests.jobs.processes import Portal
from tests.servers import Broker, Postgres, wait_until

pytestmark = pytest.mark.process


def test_broker_dead_at_launch_and_back_later(portal: Portal) -> None:
    portal.broker.stop()
    began = time.monotonic()
    jobs = portal.ask("launch", count=3)
    assert time.monotonic() - began < 10
    portal.start_tick()
    portal.broker.start()
    portal.start_worker()
    wait_until(lambda: portal.are_all("succeeded"), what="all to end")
    assert Counter(portal.started()) == Counter(jobs)


def test_broker_flushed_with_everything_in_it(portal: Portal) -> None:
    jobs = portal.ask("launch", count=5)
    portal.broker.client().flushall()
    portal.start_tick()
    portal.start_worker()
    wait_until(lambda: portal.are_all("succeeded"), what="all to end")
    assert Counter(portal.started()) == Counter(jobs)


def test_broker_restarted_under_a_worker(portal: Portal) -> None:
    portal.start_tick()
    portal.start_worker()
    first = portal.ask("launch", count=2)
    wait_until(lambda: portal.are_all("succeeded"), what="the first to end")
    portal.broker.stop()
    second = portal.ask("launch", count=2)
    portal.broker.start()
    wait_until(lambda: portal.are_all("succeeded"), what="the second to end")
    assert Counter(portal.started()) == Counter(first + second)


def test_ten_thousand_due_jobs_are_never_queued_twice(portal: Portal) -> None:
    portal.ask("launch_many", count=10_000)
    # Two ticks, as when one host's is started before another's has died, and a sweep by hand.
    ticks = [portal.start_tick(), portal.start_tick()]
    wait_until(lambda: portal.ask("unsent") == 0, what="all to be sent")
    assert portal.ask("sweep") == 0
    assert [tick.poll() for tick in ticks] == [None, None]
    messages = portal.broker.client().lrange(SHARED_QUEUE, 0, -1)
    queued = [job for message in messages for job in _jobs_in(message)]
    assert len(queued) == len(set(queued)) == 10_000


def _jobs_in(message: str | bytes) -> list[str]:
    read = json.loads(message)
    if read["headers"]["task"] != ADVANCE:
        return []
    return list(json.loads(base64.b64decode(read["body"]))[0][0])


def test_database_restarted_under_everything(
    tmp_path: Path, postgres: Postgres, redis_server: Broker
) -> None:
    url = postgres.make_database(f"restart{os.getpid()}")
    with Portal(tmp_path / "var", url, redis_server) as portal:
        (portal.folder / "hold").touch()
        jobs = portal.ask("launch", count=10)
        tick, worker = portal.start_tick(), portal.start_worker()
        wait_until(lambda: len(portal.started()) == 10, what="all to start")
        postgres.stop()
        (portal.folder / "hold").unlink()
        postgres.start()
        wait_until(lambda: portal.are_all("succeeded"), what="all to end")
        assert Counter(portal.started()) == Counter(jobs)
        assert (tick.poll(), worker.poll()) == (None, None)
