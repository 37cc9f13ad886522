"""Endpoints, their releases and their keys. How traffic is split is in `routing`."""

import datetime as dt
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.deployments.models import Endpoint, EndpointKey, Release
from apps.deployments.routing import current_weights, lock_routes, push_routes, tell_endpoint
from apps.jobs.models import State
from apps.projects.models import Project, Role
from apps.projects.services import require_open, require_role
from apps.registry.models import Model, ModelVersion, Verdict
from apps.targets.services import get_local_target
from runtime.documents.base import DocumentError, validate_document
from runtime.documents.endpoint import EndpointDocument

KEY_PREFIX = "ptk_"
HINT_LENGTH = 8
MAX_KEYS = 50
MAX_DAYS = 3650
GRACE = dt.timedelta(hours=24)


def read_definition(definition: object, *, field: str = "definition") -> EndpointDocument:
    """The document, checked on its own. Raise ValidationError, by path under `field`."""
    try:
        return validate_document(EndpointDocument, definition)
    except DocumentError as error:
        told = {f"{field}.{path}" if path else field: text for path, text in error.errors.items()}
        raise ValidationError(told) from None


def _checked(project: Project, definition: object) -> tuple[EndpointDocument, Model]:
    document = read_definition(definition)
    model = Model.objects.filter(project=project, slug=document.model).first()
    if model is None:
        text = f"{project.name} has no model “{document.model}”. Make it first, or see its models."
        raise ValidationError({"definition.model": text})
    return document, model


def get_endpoint(project: Project, slug: str, *, field: str = "endpoint") -> Endpoint:
    """Raise ValidationError for `field` where the project has no such endpoint."""
    found = Endpoint.objects.filter(project=project, slug=slug).first()
    if found is None:
        text = f"{project.name} has no endpoint “{slug}”. Make it first, or see its endpoints."
        raise ValidationError({field: text})
    return found


@transaction.atomic
def create_endpoint(
    project: Project,
    *,
    slug: str,
    definition: Mapping[str, Any],
    description: str = "",
    user: User,
) -> Endpoint:
    """An address for a model's predictions; it answers once a release has traffic. Contributors."""
    require_role(user, project, Role.CONTRIBUTOR)
    require_open(project)
    document, model = _checked(project, definition)
    endpoint = Endpoint(
        project=project,
        slug=slug,
        description=description,
        model=model,
        target=get_local_target(),
        definition=document.model_dump(mode="json"),
    )
    endpoint.full_clean()
    endpoint.save()
    tell_endpoint("endpoint.created", endpoint, user, after={"slug": slug, "model": model.slug})
    return endpoint


@transaction.atomic
def update_endpoint(
    endpoint: Endpoint,
    *,
    definition: Mapping[str, Any] | None = None,
    description: str | None = None,
    user: User,
) -> Endpoint:
    """Change the definition, whole, or the description. Contributors. The model stays the same:
    its releases are of it. A changed definition is pushed to the scoring server."""
    require_role(user, endpoint.project, Role.CONTRIBUTOR)
    require_open(endpoint.project)
    endpoint = lock_routes(endpoint)
    before = {"definition": endpoint.definition, "description": endpoint.description}
    if description is not None:
        endpoint.description = description
    if definition is not None:
        document, model = _checked(endpoint.project, definition)
        if model.pk != endpoint.model_id:
            text = f"{endpoint} serves {endpoint.model}. Make another endpoint for {model}."
            raise ValidationError({"definition.model": text})
        endpoint.definition = document.model_dump(mode="json")
    endpoint.full_clean()
    endpoint.save(update_fields=["definition", "description"])
    after = {"definition": endpoint.definition, "description": endpoint.description}
    if after == before:
        return endpoint
    tell_endpoint("endpoint.updated", endpoint, user, before=before, after=after)
    if after["definition"] != before["definition"]:
        _push(endpoint, "Definition changed", user)
    return endpoint


def _push(endpoint: Endpoint, reason: str, user: User) -> None:
    """Push routes whose weights have not changed, to a server that has something to know."""
    weights = current_weights(endpoint)
    push_routes(endpoint, before=weights, reason=reason, user=user)


@transaction.atomic
def create_release(endpoint: Endpoint, *, version: ModelVersion, slug: str, user: User) -> Release:
    """Put a model version on the endpoint, without traffic: it is loaded and checked, and answers
    those who pin it. Contributors. The version must be the model's, registered and approved."""
    require_role(user, endpoint.project, Role.CONTRIBUTOR)
    require_open(endpoint.project)
    endpoint = lock_routes(endpoint)
    if version.model_id != endpoint.model_id:
        text = f"This is no version of {endpoint.model}, which {endpoint} serves."
        raise ValidationError({"version": text})
    if version.job.state != State.SUCCEEDED:
        word = State(version.job.state).label.lower()
        text = f"{version} is not registered: its job is {word}. Release one that is."
        raise ValidationError({"version": text})
    if version.verdict != Verdict.APPROVED:
        text = f"{version} is not approved. Have it approved first."
        raise ValidationError({"version": text})
    release = Release(endpoint=endpoint, version=version, slug=slug, created_by=user)
    release.full_clean()
    release.save()
    tell_endpoint(
        "release.created", endpoint, user, after={"release": slug, "version": str(version)}
    )
    _push(endpoint, f"Release {slug}", user)
    return release


@transaction.atomic
def retire_release(release: Release, *, user: User) -> Release:
    """Take a release without traffic off the endpoint, for good. Contributors; again changes
    nothing. Conflict while it has traffic."""
    endpoint = release.endpoint
    require_role(user, endpoint.project, Role.CONTRIBUTOR)
    require_open(endpoint.project)
    endpoint = lock_routes(endpoint)
    release = Release.objects.get(pk=release.pk)
    if release.retired_at is not None:
        return release
    if release.weight:
        text = f"{release.slug} has {release.weight} % of the traffic. Set its weight to 0 first."
        raise Conflict(text)
    release.retired_at = timezone.now()
    release.save(update_fields=["retired_at"])
    tell_endpoint("release.retired", endpoint, user, after={"release": release.slug})
    _push(endpoint, f"Retire {release.slug}", user)
    return release


@transaction.atomic
def create_key(
    endpoint: Endpoint, *, name: str, days: int | None = None, user: User
) -> tuple[EndpointKey, str]:
    """A key that opens the endpoint, and its text, which is shown this once. Owners only.

    It opens within a moment, when the scoring server has it. `days` None: until it is revoked.
    """
    require_role(user, endpoint.project, Role.OWNER)
    require_open(endpoint.project)
    endpoint = lock_routes(endpoint)
    if endpoint.keys.filter(revoked_at__isnull=True).count() >= MAX_KEYS:
        raise Conflict(f"{endpoint} has {MAX_KEYS} keys. Revoke one that is not used.")
    key, text = _make_key(endpoint, name, days, user)
    _push(endpoint, f"Key {name}", user)
    return key, text


def _make_key(
    endpoint: Endpoint, name: str, days: int | None, user: User
) -> tuple[EndpointKey, str]:
    text = KEY_PREFIX + secrets.token_urlsafe(32)
    key = EndpointKey(
        endpoint=endpoint,
        name=name.strip(),
        digest=hashlib.sha256(text.encode()).hexdigest(),
        hint=text[: len(KEY_PREFIX) + HINT_LENGTH - 2],
        expires_at=timezone.now() + dt.timedelta(days=days) if days else None,
        created_by=user,
    )
    key.full_clean()
    key.save()
    tell_endpoint("endpoint_key.created", endpoint, user, after={"key": name})
    return key, text


@transaction.atomic
def revoke_key(key: EndpointKey, *, user: User) -> EndpointKey:
    """End a key, within a moment. Owners only; again changes nothing."""
    require_role(user, key.endpoint.project, Role.OWNER)
    endpoint = lock_routes(key.endpoint)
    key = EndpointKey.objects.get(pk=key.pk)
    if key.revoked_at is not None:
        return key
    key.revoked_at = timezone.now()
    key.save(update_fields=["revoked_at"])
    tell_endpoint("endpoint_key.revoked", endpoint, user, before={"key": key.name})
    _push(endpoint, f"Revoke {key.name}", user)
    return key


@transaction.atomic
def rotate_key(key: EndpointKey, *, user: User) -> tuple[EndpointKey, str]:
    """A new key of the same name; the old one opens for another day. Owners only."""
    require_role(user, key.endpoint.project, Role.OWNER)
    require_open(key.endpoint.project)
    endpoint = lock_routes(key.endpoint)
    key = EndpointKey.objects.get(pk=key.pk)
    now = timezone.now()
    if key.revoked_at is not None or (key.expires_at and key.expires_at <= now):
        raise Conflict("This key has ended. Make a new one instead.")
    days = (key.expires_at - key.created_at).days if key.expires_at else None
    made, text = _make_key(endpoint, key.name, days, user)
    key.expires_at = min(key.expires_at or now + GRACE, now + GRACE)
    key.save(update_fields=["expires_at"])
    _push(endpoint, f"Rotate {key.name}", user)
    return made, text
