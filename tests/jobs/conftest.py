import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from apps.targets.models import Target
from tests.jobs.processes import Portal
from tests.servers import Broker, Postgres

ENGINE_PACKAGES = ["workers.engines", "tests.jobs.engines"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The ledger's folder: files made in it steer the test engine."""
    return tmp_path


@pytest.fixture
def ledger(db: None, settings: Settings, folder: Path) -> Target:
    """A target whose engine is the ledger."""
    settings.ENGINE_PACKAGES = ENGINE_PACKAGES
    assert django_settings.ENGINE_PACKAGES == ENGINE_PACKAGES
    return Target.objects.create(
        slug="ledger", name="Ledger", engine="ledger", options={"folder": str(folder)}
    )


@pytest.fixture(params=["sqlite-valkey", "postgres-redis"])
def portal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Portal]:
    """The portal's processes: on SQLite with the bundled Valkey, and on PostgreSQL and Redis."""
    if request.param == "sqlite-valkey":
        database_url = f"sqlite:///{tmp_path}/portal.sqlite3"
        broker: Broker = request.getfixturevalue("valkey")
    else:
        server: Postgres = request.getfixturevalue("postgres")
        database_url = server.make_database(f"jobs{os.getpid()}_{time.time_ns()}")
        broker = request.getfixturevalue("redis_server")
    with Portal(tmp_path / "var", database_url, broker) as portal:
        yield portal


@pytest.fixture
def count_queries() -> Callable[[Client, str], int]:
    """How many queries a page takes."""

    def count(client: Client, path: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert client.get(path).status_code == 200
        return len(seen)

    return count
