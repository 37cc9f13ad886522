"""Is it alive, and can it do its work: for supervisors, load balancers and people."""

import os
from functools import cache

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.jobs.hosts import has_live_worker

INSTANCE = os.environ.get("PORTOLAN_INSTANCE", "")


@require_GET
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """This process answers. Touches nothing else."""
    return JsonResponse({"status": "ok", "instance": INSTANCE})


@require_GET
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Every part that work needs: 200 when all are there, else 503 naming what is not."""
    parts = {"database": _database(), "broker": _broker()}
    if parts["database"] == "ok":
        parts["migrations"] = _migrations()
    if parts.get("migrations") == "ok":
        parts["worker"] = "ok" if has_live_worker() else "none seen in the last 30 seconds"
    is_ready = all(said == "ok" for said in parts.values())
    body = {"status": "ok" if is_ready else "not ready", "instance": INSTANCE, "parts": parts}
    return JsonResponse(body, status=200 if is_ready else 503)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "does not answer"
    return "ok"


def _broker() -> str:
    try:
        _redis().ping()
    except (redis.RedisError, OSError):
        return "does not answer"
    return "ok"


@cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1)


def _migrations() -> str:
    if _are_applied.get("yes"):
        return "ok"
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return "not all applied: run `manage.py migrate`"
    _are_applied["yes"] = True
    return "ok"


# Looked at until they are; they cannot become unapplied while this process runs.
_are_applied: dict[str, bool] = {}
