"""Which machines have workers. SQLite serves one machine; a second is refused."""

import datetime as dt

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.core.errors import Conflict
from apps.jobs.models import Host

SEEN_EVERY = dt.timedelta(seconds=5)
GONE_AFTER = dt.timedelta(seconds=30)


def refuse_second_host() -> None:
    """Raise Conflict when the SQLite database is another machine's."""
    name = settings.ENV.host_name
    alive = Host.objects.filter(seen_at__gt=timezone.now() - GONE_AFTER).exclude(name=name)
    if settings.IS_SQLITE and (other := alive.first()):
        raise Conflict(
            f"The SQLite database is in use by {other.name}. SQLite serves one machine: set "
            "PORTOLAN_DATABASE_URL to a PostgreSQL database to use several, or stop the portal on "
            f"{other.name} and start this one {GONE_AFTER.seconds} seconds later."
        )


@transaction.atomic
def claim_host() -> Host:
    """Say that this machine's worker is up. Raise Conflict as `refuse_second_host`."""
    refuse_second_host()
    host, _ = Host.objects.update_or_create(
        name=settings.ENV.host_name,
        defaults={"started_at": timezone.now(), "seen_at": timezone.now()},
    )
    return host


def beat(name: str) -> None:
    """The machine's worker is alive."""
    Host.objects.filter(name=name).update(seen_at=timezone.now())


def leave(name: str) -> None:
    """The machine's worker has stopped in order: another may take over at once."""
    Host.objects.filter(name=name).delete()


def has_live_worker() -> bool:
    return Host.objects.filter(seen_at__gt=timezone.now() - GONE_AFTER).exists()
