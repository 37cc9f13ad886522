"""A project with an owner and, where asked for, a scoring server on the portal's own folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from apps.accounts.models import User
from apps.projects.models import Project, Role
from tests.factories import make_member, make_project
from tests.runtime.serving.conftest import onnx, packages
from tests.runtime.serving.server import ScoringServer

__all__ = ["onnx", "packages"]


@pytest.fixture
def project(db: None) -> Project:
    return make_project(slug="churn")


@pytest.fixture
def owner(project: Project) -> User:
    return make_member(project, Role.OWNER)


@pytest.fixture
def var(settings: Settings, tmp_path: Path) -> Path:
    settings.VAR_DIR = tmp_path / "var"
    return tmp_path / "var"


@pytest.fixture
def server(packages: Path, var: Path) -> Iterator[ScoringServer]:
    server = ScoringServer(var).start()
    yield server
    server.stop()
