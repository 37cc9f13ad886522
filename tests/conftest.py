"""What every test shares. Each pytest process has its own `var`, inside the clone."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import django
import pytest
from django.conf import settings
from django.core.management import call_command

from tests.servers import (
    Broker,
    Postgres,
    postgres_folder,
    redis_binary,
    valkey_binary,
)

VAR_DIR = Path(__file__).resolve().parent.parent / "build" / "tests" / str(os.getpid())
os.environ["PORTOLAN_VAR_DIR"] = str(VAR_DIR)
os.environ.setdefault("PORTOLAN_LEASE_SECONDS", "3")
# Not in pyproject.toml: pytest-django would read the settings before the lines above.
os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
django.setup()
# Inherited, it would have xdist's workers read the settings with this process's folder in them.
del os.environ["DJANGO_SETTINGS_MODULE"]
# Slow on purpose elsewhere; here it would be most of the suite's time.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session", autouse=True)
def _own_var_dir() -> None:
    # Pages name their files by content, so what they name must have been collected.
    call_command("collectstatic", interactive=False, verbosity=0)


def pytest_unconfigure() -> None:
    shutil.rmtree(VAR_DIR, ignore_errors=True)


def _skip(reason: str) -> None:
    """Skip, unless this run promised to have every part: then it is a failure."""
    if os.environ.get("PORTOLAN_STRICT") == "1":
        pytest.fail(f"PORTOLAN_STRICT=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for this test run; tests make databases of their own in it."""
    binaries = postgres_folder()
    if binaries is None:
        _skip("PostgreSQL's server is not installed (apt install postgresql)")
    assert binaries
    server = Postgres(VAR_DIR / "postgres", binaries).create()
    yield server
    server.stop()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Broker]:
    """The bundled broker, on a port of its own."""
    server = Broker(valkey_binary(), tmp_path / "valkey").start()
    yield server
    server.stop()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Broker]:
    """A Redis server, as a site with several hosts has one."""
    binary = redis_binary()
    if binary is None:
        _skip("Redis is not installed (apt install redis-server)")
    assert binary
    server = Broker(binary, tmp_path / "redis").start()
    yield server
    server.stop()


# What may be skipped even where every part was promised: it needs what no part can bring.
MAY_BE_SKIPPED = frozenset({"kubernetes", "device"})
_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    is_skip = report.skipped and not hasattr(report, "wasxfail")
    if is_skip and not MAY_BE_SKIPPED & set(report.keywords):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run that promised to have every part has failed when anything was skipped."""
    is_worker = hasattr(session.config, "workerinput")
    if _skipped and not is_worker and os.environ.get("PORTOLAN_STRICT") == "1":
        sys.stderr.write(f"PORTOLAN_STRICT=1, but {len(_skipped)} tests were skipped.\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
