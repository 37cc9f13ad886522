"""The scoring server alone, for sites that run each process by themselves."""

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from portal.up import serving_service


class Command(BaseCommand):
    help = "Answer requests to endpoints. One for each `var` folder."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        env = settings.ENV
        service = serving_service(
            environments=env.environments_dir.absolute(),
            var=settings.VAR_DIR,
            bind=env.serving_bind,
            port=env.serving_port,
            environment={},
        )
        if service is None:
            raise CommandError("Its environment is not set up here. Run `make environments`.")
        (settings.VAR_DIR / "serving").mkdir(parents=True, exist_ok=True, mode=0o700)
        os.execve(service.argv[0], service.argv, {**os.environ, **service.environment})  # noqa: S606
