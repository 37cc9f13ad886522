"""A backup from the page to another portal, on the same kind of database and on the other."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.house.portal import Portal
from tests.servers import Postgres, wait_until

pytestmark = pytest.mark.process


class Person:
    """Somebody at a browser, by its requests alone."""

    def __init__(self, portal: Portal, email: str, password: str) -> None:
        self.url, self.session = portal.url, requests.Session()
        self.post("/account/login/", {"login": email, "password": password})

    def post(self, path: str, data: dict[str, str], *, form: str = "") -> requests.Response:
        """Send the form on the page at `form`, or at `path` itself."""
        page = self.session.get(self.url + (form or path), timeout=30)
        found = re.search('name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert found, page.text
        answer = self.session.post(
            self.url + path, {**data, "csrfmiddlewaretoken": found[1]}, timeout=30
        )
        answer.raise_for_status()
        return answer

    def listed(self, what: str) -> list[dict[str, str]]:
        answer = self.session.get(f"{self.url}/api/v1/{what}/", timeout=30)
        answer.raise_for_status()
        rows: list[dict[str, str]] = answer.json()["results"]
        return rows


@pytest.fixture
def first(tmp_path: Path) -> Iterator[Portal]:
    portal = Portal(tmp_path / "first")
    yield portal
    portal.end()


@pytest.fixture(params=["sqlite", "postgres"])
def second(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Portal]:
    url = ""
    if request.param == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        url = server.make_database(f"restored{os.getpid()}_{time.time_ns()}")
    portal = Portal(tmp_path / "second", url)
    yield portal
    portal.end()


def printed_password(portal: Portal) -> tuple[str, str]:
    assert portal.process
    assert portal.process.stdout
    portal.process.stdout.readline()
    found = re.search(
        r"Sign in as (\S+) with the password (\S+) ", portal.process.stdout.readline()
    )
    assert found
    return found[1], found[2]


def test_backup_made_by_a_job_is_the_same_portal_elsewhere(first: Portal, second: Portal) -> None:
    first.start()
    email, password = printed_password(first)
    person = Person(first, email, password)
    person.post("/projects/new/", {"name": "Zürich Nord"})
    person.post("/site/backups/new/", {}, form="/site/backups/")
    wait_until(lambda: person.listed("backups")[0]["finished_at"], what="the backup")
    [backup] = person.listed("backups")
    assert backup["state"] == "succeeded", backup["message"]
    first.stop()
    shutil.copytree(first.var / "keys", second.var / "keys")
    said = second.run("restore", str(first.var / "backups" / backup["archive"]))
    assert "Everybody signs in anew" in said
    second.start()
    again = Person(second, email, password)
    assert [each["slug"] for each in again.listed("projects")] == ["zurich-nord"]
    again.post("/projects/new/", {"name": "After the restore"})
    assert len(again.listed("projects")) == 2
