"""Readiness, the settings that cannot work together, and the one machine SQLite serves."""

from io import StringIO

import pytest
from django.conf import settings as portal
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from apps.core.errors import Conflict
from apps.jobs import hosts
from apps.jobs.models import Host
from portal import health
from portal.checks import settings_fit_together
from tests.servers import Broker

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker(valkey: Broker, settings: Settings) -> Broker:
    settings.REDIS_URL = valkey.url
    health._redis.cache_clear()
    return valkey


def test_ready_when_every_part_is_there_and_named_when_not(client: Client, broker: Broker) -> None:
    assert client.get("/readyz").json()["parts"]["worker"] == "none seen in the last 30 seconds"
    hosts.claim_host()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    broker.stop()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"]["broker"] == "does not answer"
    assert client.get("/healthz").status_code == 200
    broker.start()
    hosts.leave(portal.ENV.host_name)
    assert client.get("/readyz").json()["parts"] == {
        "database": "ok",
        "broker": "ok",
        "migrations": "ok",
        "worker": "none seen in the last 30 seconds",
    }
    health._redis.cache_clear()


def test_second_machine_on_sqlite_is_refused_until_the_first_is_gone() -> None:
    Host.objects.create(name="first-machine", seen_at=timezone.now())
    with pytest.raises(Conflict, match="in use by first-machine"):
        hosts.claim_host()
    Host.objects.update(seen_at=timezone.now() - hosts.GONE_AFTER)
    assert hosts.claim_host().name == portal.ENV.host_name


def test_several_machines_may_share_postgresql(settings: Settings) -> None:
    Host.objects.create(name="first-machine", seen_at=timezone.now())
    settings.IS_SQLITE = False
    hosts.claim_host()
    assert Host.objects.count() == 2


def test_sqlite_with_a_shared_broker_is_refused_by_the_check_and_at_start(
    settings: Settings,
) -> None:
    settings.IS_SQLITE, settings.IS_BROKER_BUNDLED = True, False
    assert [each.id for each in settings_fit_together(None)] == ["portolan.E001"]
    with pytest.raises(CommandError, match="SQLite serves one machine"):
        call_command("up", stdout=StringIO())
    settings.IS_SQLITE = False
    assert settings_fit_together(None) == []
