"""A worker's coming and going: says which host it is, keeps saying so, and takes its leave."""

import logging
import threading
from typing import Any

from celery.signals import worker_init, worker_shutdown
from django.conf import settings
from django.db import DatabaseError, connection

from apps.core.errors import Conflict
from apps.jobs import hosts

log = logging.getLogger(__name__)
_stopping = threading.Event()


@worker_init.connect
def arrive(**_: Any) -> None:
    """Refuse to start where SQLite already serves another machine."""
    try:
        hosts.claim_host()
    except Conflict as conflict:
        log.error("%s", conflict.message)
        raise SystemExit(3) from None
    finally:
        connection.close()
    threading.Thread(target=_beat, name="host-beat", daemon=True).start()


def _beat() -> None:
    while not _stopping.wait(hosts.SEEN_EVERY.total_seconds()):
        try:
            hosts.beat(settings.ENV.host_name)
        except DatabaseError as error:
            log.warning("host not seen to, the database is away: %s", error)
        finally:
            connection.close()


@worker_shutdown.connect
def depart(**_: Any) -> None:
    _stopping.set()
    try:
        hosts.leave(settings.ENV.host_name)
    except DatabaseError as error:
        log.warning("left without saying so, the database is away: %s", error)
    finally:
        connection.close()
