"""Take the worked example through the whole lifecycle, and leave the portal up."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from apps.accounts.models import ApiToken
from apps.accounts.scopes import SCOPES
from apps.accounts.services import find_actor, make_sign_in_link
from apps.accounts.tokens import create_token, revoke_token
from portal.demo.client import Client, Failed, Refused, ready_instance
from portal.demo.walk import Walk

TOKEN_NAME = "make demo"  # noqa: S105  (a name, not a token)
NEEDED = ("train", "serve", "examples")
UP_SECONDS = 60.0


class Command(BaseCommand):
    help = (
        "Start the portal unless it runs, and take examples/churn from raw rows to a monitored "
        "endpoint. Begun again, it goes on from where it was cut off."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        file = settings.BASE_DIR / "examples" / "churn" / "project.yaml"
        parser.add_argument("--file", type=Path, default=file, help="the example's project file")
        parser.add_argument("--exit", action="store_true", help="stop the portal at the end")

    def handle(self, *args: Any, **options: Any) -> None:
        _require_environments()
        self._began = time.monotonic()
        # Said outright: a shell that starts this behind it has it ignore the first of the two.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, _as_interrupt)
        with _only_one(), self._portal(stays=not options["exit"]) as process:
            try:
                self._walk(options["file"])
            except (Failed, Refused) as error:
                raise CommandError(f"{error}\nRun it again: it goes on from here.") from None
            if process is not None and not options["exit"]:
                self.say("The portal stays up. Ctrl-C stops it.")
                process.wait()

    @contextlib.contextmanager
    def _portal(self, *, stays: bool) -> Any:
        """The portal, started unless one runs on this folder; stopped as it was started."""
        if is_ready(_address()):
            self.say(f"The portal runs already: {settings.ENV.base_url}")
            with contextlib.suppress(KeyboardInterrupt):
                yield None
            return
        manage = str(settings.BASE_DIR / "manage.py")
        process = subprocess.Popen([sys.executable, manage, "up"], start_new_session=True)
        try:
            _wait_until_up(process)
            yield process
        except KeyboardInterrupt:
            self.say("Stopping. Run it again, and it goes on from here.")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(10)

    def _walk(self, file: Path) -> None:
        admin = find_actor()
        for old in ApiToken.objects.filter(user=admin, name=TOKEN_NAME, revoked_at=None):
            revoke_token(old, user=admin)
        token, text = create_token(
            admin, name=TOKEN_NAME, scopes=tuple(SCOPES), days=1, created_by=admin
        )
        connection.close()
        client = Client(_address(), text)
        walk = Walk(client, file, settings.VAR_DIR, _serving(), self.say)
        try:
            walk.go()
        finally:
            client.close()
            revoke_token(token, user=admin)
            connection.close()
        self._print_table(walk)

    def _print_table(self, walk: Walk) -> None:
        wide = max(len(what) for what, _, _ in walk.made)
        self.stdout.write("")
        for what, value, address in walk.made:
            self.stdout.write(f"{what:<{wide}}  {value}\n{'':<{wide}}  {address}")
        self.stdout.write("")
        admin = find_actor()
        self.stdout.write(f"{'Portal':<{wide}}  {settings.ENV.base_url}")
        self.stdout.write(f"{'Sign in, once':<{wide}}  {make_sign_in_link(admin)}")
        self.stdout.write(f"{'':<{wide}}  as {admin.email}, within five minutes")
        connection.close()
        self.say(f"Done in {time.monotonic() - self._began:.0f} seconds.")

    def say(self, line: str) -> None:
        self.stdout.write(f"[{time.monotonic() - self._began:5.1f} s] {line}")
        self.stdout.flush()


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """Two walks at once on one folder would stop each other's portal."""
    folder = settings.VAR_DIR / "run"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(
                "A demo runs on this folder already. Wait for it, or stop it."
            ) from None
        yield


def _address() -> str:
    env = settings.ENV
    host = "127.0.0.1" if env.bind in ("0.0.0.0", "::") else env.bind  # noqa: S104
    return f"http://{host}:{env.port}"


def _serving() -> str:
    env = settings.ENV
    host = "127.0.0.1" if env.serving_bind in ("0.0.0.0", "::") else env.serving_bind  # noqa: S104
    return f"http://{host}:{env.serving_port}"


def is_ready(address: str) -> bool:
    """Whether this folder's own portal, not another's on the same port, can do its work."""
    lock = settings.VAR_DIR / "portolan.lock"
    instance = ready_instance(address)
    return bool(instance) and lock.exists() and instance in lock.read_text()


def _require_environments() -> None:
    missing = [name for name in NEEDED if not (settings.ENV.environments_dir / name).exists()]
    if missing:
        raise CommandError(
            f"Not set up here: {', '.join(missing)}. Run `make demo`, which sets up everything."
        )


def _wait_until_up(process: "subprocess.Popen[bytes]") -> None:
    ends = time.monotonic() + UP_SECONDS
    while not is_ready(_address()):
        if process.poll() is not None:
            raise CommandError("The portal did not start. What it printed above says why.")
        if time.monotonic() > ends:
            raise CommandError(f"The portal is not ready. Its logs: {settings.VAR_DIR / 'log'}")
        time.sleep(0.1)


def _as_interrupt(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)
