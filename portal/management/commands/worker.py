"""A worker alone, for sites that run each process by themselves."""

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from portal.up import worker_argv


class Command(BaseCommand):
    help = "Advance jobs. As many as you like, on as many hosts as you like."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        env = settings.ENV
        argv = worker_argv(
            pool=env.worker_pool, concurrency=env.worker_concurrency, host=env.host_name
        )
        os.execv(argv[0], argv)  # noqa: S606
