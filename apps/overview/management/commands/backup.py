"""Back the portal up, by hand, from cron, or as the job that the browser and REST launch."""

import json
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import RegexValidator
from django.utils import timezone

from apps.overview.archive import ArchiveError, file_sha256, write_archive

check_name = RegexValidator(r"^[A-Za-z0-9][A-Za-z0-9._-]*\.tar\.gz$")


class Command(BaseCommand):
    help = "Write database, lake and the keys' fingerprint to an archive in var/backups."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--archive", default="", help="file name in var/backups")
        parser.add_argument("--no-lake", action="store_true", help="rows only")
        parser.add_argument("--outputs", type=Path, help="also write the result here, as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["archive"] or f"portolan-{timezone.now():%Y%m%d-%H%M%S}.tar.gz"
        check_name(name)
        path = settings.VAR_DIR / "backups" / name
        began = time.monotonic()
        try:
            manifest = write_archive(path, include_lake=not options["no_lake"], say=self.say)
        except ArchiveError as error:
            raise CommandError(str(error)) from None
        result = {
            "archive": name,
            "size_bytes": path.stat().st_size,
            "sha256": file_sha256(path),
            "row_count": manifest.row_count,
            "key_fingerprint": manifest.key_fingerprint,
        }
        if options["outputs"]:
            options["outputs"].write_text(json.dumps(result))
        self.say(f"{path}: {result['size_bytes']:,} bytes in {time.monotonic() - began:.1f} s")
        self.say(f"Its secrets need the key {manifest.key_fingerprint}, kept apart from it.")

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
