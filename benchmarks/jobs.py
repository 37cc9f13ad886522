"""Starting the portal, launching jobs, listing them: `make bench`.

All on one portal of its own, on the defaults (SQLite, the bundled Valkey). Times in ms. `*` marks
a goal that was missed, and the exit code says so.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

from benchmarks.figures import percentile, tell
from benchmarks.portal import Portal, new_portal

STARTS, LAUNCHES, LOOKS = 5, 50, 60
FEW, MANY = 100, 10_000
START_GOAL_MS, BEAT_GOAL_MS, LIST_GOAL_MS = 5000, 500, 100
FILTER = "state = failed and label ~ 7"
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def main() -> int:
    missed = []
    with new_portal() as portal:
        starts = [_start(portal) for _ in range(STARTS)]
        tell("manage.py up to first page, first start", starts[:1], goal_ms=START_GOAL_MS)
        tell("manage.py up to first page, later starts", starts[1:], goal_ms=START_GOAL_MS)
        missed.append(max(starts) * 1000 > START_GOAL_MS)
        os.environ.update(portal.environment)
        os.environ |= {"DJANGO_SETTINGS_MODULE": "portal.settings", "PORTOLAN_LOG_LEVEL": "WARNING"}
        django.setup()
        few, many = _fill("few", FEW), _fill("many", MANY)
        with portal.up():
            portal.wait_until_ready()
            beats = _launch(portal, few)
            tell("POST to the job process's first heartbeat", beats, goal_ms=BEAT_GOAL_MS)
            missed.append(percentile(beats, 95) * 1000 > BEAT_GOAL_MS)
            missed += [_compare(path, few, many) for path in _paths()]
    return int(any(missed))


def _start(portal: Portal) -> float:
    with portal.up() as seconds:
        return seconds


def _fill(slug: str, count: int) -> Any:
    """A project with so many ended jobs, and its owner."""
    from django.utils import timezone

    from apps.accounts.models import User
    from apps.jobs.models import Job, State
    from apps.projects.services import create_project
    from apps.targets.services import get_local_target

    owner = User.objects.create(email=f"{slug}@example.com", name=slug)
    project = create_project(name=slug.title(), slug=slug, user=owner)
    now, target = timezone.now(), get_local_target()
    states = (State.SUCCEEDED, State.FAILED, State.CANCELLED)
    ended = {"finished_at": now, "started_at": now, "next_poll_at": None}
    rows = (
        Job(
            project=project,
            target=target,
            kind="check",
            label=f"Job {number}",
            state=states[number % 3],
            created_by=owner,
            spec={"seconds": 0, "memory_mb": 256},
            outputs={"denied": 18, "allowed": 0},
            **ended,
        )
        for number in range(count)
    )
    Job.objects.bulk_create(rows, batch_size=1000)
    return owner


def _launch(portal: Portal, owner: Any) -> list[float]:
    """Seconds from before the request to the time the job's runner wrote first, one by one."""
    from apps.accounts.tokens import create_token

    _, token = create_token(
        owner, name="b", scopes=["read", "jobs:write"], days=1, created_by=owner
    )
    taken = []
    for _ in range(LAUNCHES):
        began = time.time()
        job = portal.post("/api/v1/target-checks/", {"project": "few", "seconds": 0}, token)
        folder = portal.var / "jobs" / job["id"]
        _wait_for(folder / "heartbeat.json")
        taken.append(json.loads((folder / "heartbeat.json").read_text())["at"] - began)
        _wait_for(folder / "exit.json")
    return taken


def _wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.002)


def _paths() -> list[tuple[str, Callable[[str], str], dict[str, str]]]:
    """Each list: what it is called, its address in a project, its query."""
    return [
        ("activity", lambda _: "/activity/", {}),
        ("activity, filtered", lambda _: "/activity/", {"filter": FILTER}),
        ("project's activity", lambda slug: f"/p/{slug}/activity/", {}),
        ("REST jobs", lambda _: "/api/v1/jobs/", {}),
        ("REST jobs, 200 a page", lambda _: "/api/v1/jobs/", {"size": "200"}),
        ("REST jobs, filtered", lambda _: "/api/v1/jobs/", {"filter": FILTER}),
    ]


def _compare(what: tuple[str, Callable[[str], str], dict[str, str]], few: Any, many: Any) -> bool:
    """The same list for who sees few jobs and who sees many, turn and turn about."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    name, address, query = what
    clients = {owner.name: Client(SERVER_NAME="localhost") for owner in (few, many)}
    for owner in (few, many):
        clients[owner.name].force_login(owner, BACKEND)
    seconds: dict[str, list[float]] = {name: [] for name in clients}
    queries: dict[str, set[int]] = {name: set() for name in clients}
    for look in range(LOOKS):
        for slug, client in clients.items():
            with CaptureQueriesContext(connection) as seen:
                began = time.perf_counter()
                assert client.get(address(slug), query).status_code == 200
                took = time.perf_counter() - began
            if look:  # the first loads templates
                seconds[slug].append(took)
                queries[slug].add(len(seen))
    assert queries["few"] == queries["many"], queries
    assert len(queries["many"]) == 1, queries
    base = percentile(seconds["few"], 50)
    ratio = percentile(seconds["many"], 50) / base
    note = f"{max(queries['many'])} queries; {ratio:.2f} times what {FEW} jobs take"
    tell(f"{name}, {MANY:,} jobs", seconds["many"], goal_ms=LIST_GOAL_MS, note=note)
    return percentile(seconds["many"], 95) * 1000 > LIST_GOAL_MS


if __name__ == "__main__":
    raise SystemExit(main())
