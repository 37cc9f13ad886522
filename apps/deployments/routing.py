"""Routes: what all endpoints serve, as one numbered snapshot, and every change of it.

Rows say what is wanted. A change alters them, builds the snapshot of all endpoints from them and
hands it to a job; the scoring server acknowledges its number, or refuses it, and then what was
served before is wanted again. Changes of one target happen one after the other.
"""

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.deployments.models import Endpoint, Release, RouteChange
from apps.events.services import record_event
from apps.jobs.models import Job, State
from apps.jobs.services import create_job
from apps.projects.models import Role
from apps.projects.services import require_role
from apps.registry.models import Verdict
from apps.targets.models import Target

APPLY_SECONDS = 60
WEIGHTS = "weights"


def build_snapshot(target: Target, *, number: int) -> dict[str, Any]:
    """What all endpoints of a target are to serve, as rows want it: runtime/serving/routes.py."""
    rows = Endpoint.objects.filter(target=target).select_related("project").order_by("pk")
    rows = rows.prefetch_related("keys", "releases__version")
    return {
        "number": number,
        "made_at": timezone.now().isoformat(),
        "endpoints": [_entry(endpoint) for endpoint in rows],
    }


def _entry(endpoint: Endpoint) -> dict[str, Any]:
    definition = endpoint.document
    keys = [each for each in endpoint.keys.all() if each.revoked_at is None]
    releases = [each for each in endpoint.releases.all() if each.retired_at is None]
    return {
        "uuid": str(endpoint.uuid),
        "path": endpoint.address,
        "keys": [
            {
                "id": str(each.uuid),
                "digest": each.digest,
                "expires_at": math.floor(each.expires_at.timestamp()) if each.expires_at else None,
            }
            for each in keys
        ],
        "releases": [
            {
                "uuid": str(each.uuid),
                "slug": each.slug,
                "version": str(each.version.uuid),
                "package": str(each.version.path.resolve()),
                "weight": each.weight,
            }
            for each in reversed(releases)
        ],
        "sticky": definition.sticky,
        "key_columns": definition.keys,
        "capture": definition.capture.model_dump(),
        "limits": definition.limits.model_dump(),
    }


def current_weights(endpoint: Endpoint) -> dict[str, int]:
    """The releases that have a weight, by uuid, as wanted."""
    found = endpoint.releases.filter(weight__gt=0).values_list("uuid", "weight")
    return {str(uuid): weight for uuid, weight in found}


def lock_routes(endpoint: Endpoint) -> Endpoint:
    """From here to the end of the transaction no other change of the target's routes is made; the
    endpoint as it is now."""
    Target.objects.select_for_update().get(pk=endpoint.target_id)
    return Endpoint.objects.select_related("project", "target", "model").get(pk=endpoint.pk)


def push_routes(
    endpoint: Endpoint, *, before: Mapping[str, int], reason: str, user: User | None
) -> RouteChange:
    """Have rows as they are now applied. Call under `lock_routes`; `before` are the weights that
    the change replaced. `user` None is the portal itself."""
    last = RouteChange.objects.aggregate(last=Max("number"))["last"] or 0
    number = last + 1
    job = create_job(
        "deploy",
        spec={
            "endpoint": str(endpoint.uuid),
            "number": number,
            "snapshot": build_snapshot(endpoint.target, number=number),
            "definition": endpoint.definition,
            "seconds": APPLY_SECONDS,
        },
        target=endpoint.target,
        user=user,
        project=endpoint.project,
        label=f"Routes of {endpoint}: {reason}" if reason else f"Routes of {endpoint}",
        give_up_after=dt.timedelta(minutes=30),
    )
    return RouteChange.objects.create(
        endpoint=endpoint,
        job=job,
        number=number,
        weights=current_weights(endpoint),
        before=dict(before),
        reason=reason[:500],
        created_by=user,
    )


@transaction.atomic
def set_weights(
    endpoint: Endpoint, *, weights: Mapping[str, int], user: User, reason: str = ""
) -> RouteChange:
    """Split the traffic: release slugs to percent, together 100, or all 0 to serve nothing.

    Releases not named get 0. Contributors may. The change is made when its job has succeeded; when
    the scoring server refuses it, the weights go back to what is served.
    """
    require_role(user, endpoint.project, Role.CONTRIBUTOR)
    endpoint = lock_routes(endpoint)
    releases = {each.slug: each for each in endpoint.releases.select_related("version")}
    _check_weights(endpoint, weights, releases)
    before = current_weights(endpoint)
    for slug, release in releases.items():
        release.weight = weights.get(slug, 0)
        release.save(update_fields=["weight"])
    change = push_routes(endpoint, before=before, reason=reason, user=user)
    tell_endpoint(
        "endpoint.weights_set",
        endpoint,
        user,
        before=_by_slug(endpoint, before),
        after={**_by_slug(endpoint, change.weights), "reason": reason, "number": change.number},
    )
    return change


def _check_weights(
    endpoint: Endpoint, weights: Mapping[str, int], releases: Mapping[str, Release]
) -> None:
    for slug, weight in weights.items():
        release = releases.get(slug)
        if release is None:
            text = f"{endpoint} has no release “{slug}”. Make it first, or see its releases."
            raise ValidationError({WEIGHTS: text})
        if type(weight) is not int or not 0 <= weight <= 100:
            raise ValidationError({WEIGHTS: f"The weight of {slug} is a whole number, 0 to 100."})
        if weight and release.retired_at is not None:
            raise ValidationError({WEIGHTS: f"{slug} is retired. Make a new release of it."})
        if weight and release.version.verdict != Verdict.APPROVED:
            text = f"{release.version} is not approved any more, so {slug} gets no traffic."
            raise ValidationError({WEIGHTS: text})
    if (total := sum(weights.values())) not in (0, 100):
        text = f"The weights add up to {total}. Make them 100, or all 0 to serve nothing."
        raise ValidationError({WEIGHTS: text})


@transaction.atomic
def roll_back(endpoint: Endpoint, *, user: User, reason: str = "") -> RouteChange:
    """Go back to the weights before the last change of them; again, and you are where you were.

    Contributors may. Conflict when there is nothing to go back to, or a release of it is retired.
    """
    require_role(user, endpoint.project, Role.CONTRIBUTOR)
    endpoint = lock_routes(endpoint)
    now = current_weights(endpoint)
    changes = endpoint.changes.exclude(job__state__in=(State.FAILED, State.CANCELLED))
    target = next((each.before for each in changes[:200] if each.before != each.weights), None)
    if not target or target == now:
        raise Conflict(f"{endpoint} served nothing before this, so there is nothing to go back to.")
    releases = {str(each.uuid): each for each in endpoint.releases.all()}
    if any(uuid not in releases or releases[uuid].retired_at for uuid in target):
        raise Conflict("A release that served before is retired. Set the weights instead.")
    slugs = {releases[uuid].slug: weight for uuid, weight in target.items()}
    return set_weights(endpoint, weights=slugs, user=user, reason=reason or "Rolled back")


def finish_route_change(job: Job) -> None:
    """Note what the scoring server says. In the transaction that ends the job; what it says is
    checked for shape only, as our own engine wrote it."""
    change = RouteChange.objects.select_related("endpoint").filter(job=job).first()
    if change is None:
        return
    endpoint = lock_routes(change.endpoint)
    _observe(endpoint, job.outputs.get("serving"))
    if job.state == State.SUCCEEDED:
        RouteChange.objects.filter(pk=change.pk).update(applied_at=timezone.now())
        return
    if change.weights == change.before or current_weights(endpoint) != change.weights:
        return
    _put_back(endpoint, change)


def _put_back(endpoint: Endpoint, failed: RouteChange) -> None:
    """Want again what was applied last, and say so to the server, so that no file keeps the change
    that failed. This change alters nothing, so it is not put back should it fail as well."""
    applied = endpoint.changes.filter(applied_at__isnull=False).first()
    weights = applied.weights if applied else {}
    for release in endpoint.releases.all():
        release.weight = 0 if release.retired_at else int(weights.get(str(release.uuid), 0))
        release.save(update_fields=["weight"])
    now = current_weights(endpoint)
    tell_endpoint(
        "endpoint.weights_put_back",
        endpoint,
        None,
        before=_by_slug(endpoint, failed.weights),
        after={**_by_slug(endpoint, now), "reason": failed.job.message[:500]},
    )
    if endpoint.project.archived_at is None:
        push_routes(endpoint, before=now, reason=f"Put back after {failed.number}", user=None)


def _observe(endpoint: Endpoint, said: Any) -> None:
    if not isinstance(said, dict) or not isinstance(said.get("releases"), dict):
        return
    slugs = {str(each.uuid): each.slug for each in endpoint.releases.all()}
    releases = {
        slugs[uuid]: {
            "uuid": uuid,
            "weight": each.get("weight"),
            "state": str(each.get("state"))[:16],
            "engine": str(each.get("engine"))[:100],
            "message": str(each.get("message"))[:1000],
        }
        for uuid, each in said["releases"].items()
        if uuid in slugs and isinstance(each, dict)
    }
    observed = {
        "number": said.get("applied"),
        "instance": str(said.get("instance"))[:64],
        "releases": releases,
    }
    Endpoint.objects.filter(pk=endpoint.pk).update(observed=observed, observed_at=timezone.now())


def _by_slug(endpoint: Endpoint, weights: Mapping[str, int]) -> dict[str, int]:
    slugs = {str(each.uuid): each.slug for each in endpoint.releases.all()}
    return {slugs[uuid]: weight for uuid, weight in weights.items() if uuid in slugs}


def serving_url() -> str:
    """Where the scoring server is reached from outside, without a slash at the end."""
    env = settings.ENV
    if env.serving_url:
        return str(env.serving_url).rstrip("/")
    host = "127.0.0.1" if env.serving_bind in ("0.0.0.0", "::") else env.serving_bind  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{env.serving_port}"


def endpoint_url(endpoint: Endpoint) -> str:
    """The address that `/score` and the others follow."""
    return f"{serving_url()}/{endpoint.address}"


def tell_endpoint(
    verb: str,
    endpoint: Endpoint,
    actor: User | None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    record_event(
        verb,
        actor=actor,
        kind="endpoint",
        id=endpoint.uuid,
        label=endpoint.slug,
        project_id=endpoint.project.uuid,
        before=before,
        after=after,
    )
