"""The tick: calls the sweep every second or so. One is enough; two do no harm."""

import logging
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, close_old_connections, connection

from workers.tasks import sweep

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Send every due job to a worker, again and again, until told to stop."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        while not stopping.wait(settings.ENV.tick_seconds):
            close_old_connections()
            try:
                sweep()
            except DatabaseError as error:
                # Restarted, say: the next tick connects anew.
                log.warning("sweep skipped, the database is away: %s", error)
                connection.close()
