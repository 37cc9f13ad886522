import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.db.models.signals import post_save

from apps.accounts.models import User
from apps.jobs.models import Job
from apps.projects.models import Project, Role
from tests.api.world import answer_at_once
from tests.factories import make_member, make_project


@pytest.fixture
def project(db: None) -> Project:
    return make_project()


@pytest.fixture
def person(project: Project) -> User:
    """A contributor."""
    return make_member(project, Role.CONTRIBUTOR)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder that sources may lie in."""
    folder = tmp_path / "root"
    folder.mkdir()
    monkeypatch.setattr(settings.ENV, "folder_roots", [folder])
    return folder


@pytest.fixture
def answering(db: None) -> Iterator[None]:
    """Questions are answered as soon as they are committed, by real warm processes."""

    def answer(sender: Any, instance: Job, created: bool, **_: Any) -> None:
        transaction.on_commit(lambda: answer_at_once(sender, instance, created))

    post_save.connect(answer, sender=Job)
    yield
    post_save.disconnect(answer, sender=Job)


@pytest.fixture(autouse=True)
def _no_leftovers() -> Iterator[None]:
    yield
    shutil.rmtree(Path(settings.VAR_DIR, "uploads"), ignore_errors=True)
