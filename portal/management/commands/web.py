"""The web server alone, for sites that run each process by themselves."""

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from portal.management.commands.up import collect_static_if_changed
from portal.up import web_argv


class Command(BaseCommand):
    help = "Serve pages and REST. Run `migrate` first."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        env = settings.ENV
        settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
        collect_static_if_changed()
        argv = web_argv(
            bind=env.bind, port=env.port, workers=env.web_workers, threads=env.web_threads
        )
        os.execv(argv[0], argv)  # noqa: S606
