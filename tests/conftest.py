"""What every test shares. Each pytest process has its own `var`, inside the clone."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

VAR_DIR = Path(__file__).resolve().parent.parent / "build" / "tests" / str(os.getpid())
os.environ["PORTOLAN_VAR_DIR"] = str(VAR_DIR)
os.environ.setdefault("PORTOLAN_LEASE_SECONDS", "3")


@pytest.fixture(scope="session", autouse=True)
def _own_var_dir() -> Iterator[None]:
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    yield
    shutil.rmtree(VAR_DIR, ignore_errors=True)
