"""Put a backup in the place of what is here. The portal must be stopped."""

import fcntl
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from apps.jobs.hosts import has_live_worker
from apps.overview.archive import ArchiveError
from apps.overview.restoring import restore_archive


class Command(BaseCommand):
    help = "Restore a backup made by `backup`, into SQLite or PostgreSQL, whichever is set."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("archive", type=Path, help="the archive's path, or its name")
        parser.add_argument("--replace", action="store_true", help="replace the data that is here")
        parser.add_argument("--other-key", action="store_true", help="accept unreadable secrets")

    def handle(self, *args: Any, **options: Any) -> None:
        path = options["archive"]
        if not path.exists() and (settings.VAR_DIR / "backups" / path).exists():
            path = settings.VAR_DIR / "backups" / path
        with self._portal_stopped():
            try:
                manifest = restore_archive(
                    path,
                    is_replacing=options["replace"],
                    accepts_other_key=options["other_key"],
                    say=self.stdout.write,
                )
            except ArchiveError as error:
                raise CommandError(str(error)) from None
        self.stdout.write(f"Restored {manifest.row_count:,} rows from {path.name}.")
        self.stdout.write("Everybody signs in anew. Start the portal with `make run`.")

    @contextmanager
    def _portal_stopped(self) -> Iterator[None]:
        """Hold the lock `manage.py up` holds, so neither can run beside the other."""
        settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
        with (settings.VAR_DIR / "portolan.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandError("The portal is running. Stop it, then restore.") from None
            call_command("migrate", verbosity=0)
            if has_live_worker():
                raise CommandError(
                    "A worker is running on this database. Stop every host, then restore."
                )
            yield
