import pytest
from pytest_django import Settings


@pytest.fixture(autouse=True)
def _long_lease(settings: Settings) -> None:
    """On a busy machine a step takes longer than the suite's lease, and renewing it, from another
    thread, cannot see what this test has not committed."""
    settings.LEASE_SECONDS = 60
