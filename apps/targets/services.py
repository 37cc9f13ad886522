"""Targets: making the first one, pausing, and what the reconciler saw."""

import datetime as dt
import os

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.events.services import record_event
from apps.targets.models import Desired, Observed, Target
from workers.engines import get_info
from workers.engines.base import EngineContext, EngineInfo, TargetCheck

LOCAL_SLUG = "local"
CHECK_EVERY = dt.timedelta(seconds=60)
# What a trusted job of ours needs to find the same database and folders as the portal itself.
PASSED_ON = ("PORTOLAN_", "PATH", "LANG", "TZ", "SSL_CERT_FILE")


def get_local_target() -> Target:
    """This machine. Made by the first migration; put back here should it be missing."""
    return Target.objects.get_or_create(
        slug=LOCAL_SLUG, defaults={"name": "This machine", "engine": "local"}
    )[0]


def engine_info(target: Target) -> EngineInfo:
    """The card of the target's engine. Raise EngineError when this portal has no such engine."""
    return get_info(target.engine, settings.ENGINE_PACKAGES)


def engine_context(target: Target) -> EngineContext:
    """All that an engine may know of the portal. For workers only: it carries our environment."""
    env = settings.ENV
    passed = {key: value for key, value in os.environ.items() if key.startswith(PASSED_ON)}
    return EngineContext(
        var_dir=settings.VAR_DIR,
        host=env.host_name,
        options=target.options,
        environments_dir=env.environments_dir,
        environment={**passed, "PORTOLAN_VAR_DIR": str(settings.VAR_DIR)},
        limits={
            "memory_mb": env.job_memory_mb,
            "disk_mb": env.job_disk_mb,
            "processes": env.job_processes,
            "seconds": env.job_seconds,
        },
    )


@transaction.atomic
def set_desired(target: Target, *, desired: Desired, user: User) -> Target:
    """Pause or resume a target. Site admins only; what runs there already goes on."""
    if not user.is_site_admin:
        raise PermissionDenied("Only a site admin can pause or resume a target.")
    target = Target.objects.select_for_update().get(pk=target.pk)
    if target.desired == desired:
        return target
    before, target.desired = target.desired, desired
    target.save(update_fields=["desired"])
    record_event(
        f"target.{'paused' if desired == Desired.PAUSED else 'resumed'}",
        actor=user,
        kind="target",
        id=target.uuid,
        label=target.name,
        before={"desired": before},
        after={"desired": str(desired)},
    )
    return target


def claim_check(target_id: int) -> Target | None:
    """Take the next check of a due target; None when another worker was first."""
    target = Target.objects.due().filter(pk=target_id).first()
    if target is None:
        return None
    claimed = Target.objects.filter(pk=target_id, next_check_at=target.next_check_at)
    return target if claimed.update(next_check_at=timezone.now() + CHECK_EVERY) else None


@transaction.atomic
def record_check(target: Target, check: TargetCheck) -> None:
    """Write what was seen. An event is written when the state changed, not for each look."""
    before = Target.objects.values_list("observed", flat=True).get(pk=target.pk)
    Target.objects.filter(pk=target.pk).update(
        observed=check.state,
        message=check.message[:500],
        facts=dict(check.facts),
        observed_at=timezone.now(),
    )
    if before not in (check.state, Observed.UNKNOWN):
        record_event(
            "target.observed",
            actor=None,
            kind="target",
            id=target.uuid,
            label=target.name,
            before={"observed": before},
            after={"observed": check.state, "message": check.message},
        )
