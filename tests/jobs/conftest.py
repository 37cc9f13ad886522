from pathlib import Path

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from apps.targets.models import Target

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
