"""Rate limits: counted in a real broker, and forgiving without one."""

from collections.abc import Iterator

import pytest
from django.conf import settings as portal
from django.core.cache import caches
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from apps.accounts.models import User
from tests.core.conftest import client_for
from tests.servers import Broker

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.resources")]
THINGS = "/api/v1/things/"


class Clock:
    now = 1_800_000_010.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Ten seconds into a minute, until a test moves on."""
    clock = Clock()
    monkeypatch.setattr("apps.core.throttles.time", clock)
    return clock


@pytest.fixture
def counting(valkey: Broker, settings: Settings, clock: Clock) -> Iterator[Broker]:
    """Three requests a minute for people and two for anybody else."""
    settings.CACHES = {"default": {**portal.CACHES["default"], "LOCATION": valkey.url}}
    limits = {"rate_per_minute_user": 3, "rate_per_minute_anonymous": 2}
    settings.ENV = portal.ENV.model_copy(update=limits)
    yield valkey
    caches["default"].close()


def test_fourth_request_in_a_minute_is_told_when_to_come_back(
    counting: Broker, api: APIClient, clock: Clock
) -> None:
    answers = [api.get(THINGS) for _ in range(4)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    assert answers[-1]["Retry-After"] == "50"
    assert answers[-1]["Content-Type"] == "application/problem+json"
    assert answers[0]["RateLimit-Policy"] == '"minute";q=3;w=60'
    assert answers[0]["RateLimit"] == '"minute";r=2;t=50'
    assert answers[-1]["RateLimit"] == '"minute";r=0;t=50'
    clock.now += 50
    assert api.get(THINGS).status_code == 200


def test_each_token_has_a_count_of_its_own(counting: Broker, person: User) -> None:
    one, two = client_for(person), client_for(person)
    assert [one.get(THINGS).status_code for _ in range(4)][-1] == 429
    assert two.get(THINGS).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer ptl_guess"}])
def test_guessing_is_limited_by_address(counting: Broker, headers: dict[str, str]) -> None:
    answers = [APIClient().get(THINGS, headers=headers) for _ in range(3)]
    assert [each.status_code for each in answers] == [401, 401, 429]
    elsewhere = APIClient().get(THINGS, headers=headers, REMOTE_ADDR="192.0.2.7")
    assert elsewhere.status_code == 401


def test_broker_that_dies_limits_nobody(counting: Broker, api: APIClient) -> None:
    assert api.get(THINGS).status_code == 200
    counting.stop()
    assert [api.get(THINGS).status_code for _ in range(5)] == [200] * 5


def test_without_a_broker_nobody_is_limited(api: APIClient, settings: Settings) -> None:
    settings.ENV = portal.ENV.model_copy(update={"rate_per_minute_user": 1})
    assert [api.get(THINGS).status_code for _ in range(3)] == [200] * 3
