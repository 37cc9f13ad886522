"""Settings that cannot work together are refused at `check`, with what to do instead."""

from typing import Any

from django.conf import settings
from django.core.checks import Error, register

# What the kernel allows for the path of a unix socket, less the final zero.
SOCKET_PATH_LIMIT = 107


@register()
def settings_fit_together(app_configs: Any, **_: Any) -> list[Error]:
    found = []
    if settings.IS_SQLITE and not settings.IS_BROKER_BUNDLED and not settings.DEBUG:
        found.append(
            Error(
                "SQLite serves one machine, but PORTOLAN_BROKER_URL names a broker that several "
                "may share.",
                hint="Set PORTOLAN_DATABASE_URL to a PostgreSQL database, or leave the broker out.",
                id="portolan.E001",
            )
        )
    if settings.IS_BROKER_BUNDLED and len(str(settings.BROKER_SOCKET)) > SOCKET_PATH_LIMIT:
        found.append(
            Error(
                f"The path of the broker's socket is too long: {settings.BROKER_SOCKET}",
                hint="Set PORTOLAN_VAR_DIR to a folder with a shorter path.",
                id="portolan.E002",
            )
        )
    return found
