"""API tokens: made, shown once, checked and revoked."""

import datetime as dt
import hashlib
import secrets
from collections.abc import Iterable

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.accounts.models import ApiToken, User
from apps.accounts.scopes import SCOPES
from apps.events.services import record_event

PREFIX = "ptl_"
MAX_DAYS = 366
DEFAULT_DAYS = 90
NOTE_USE_EVERY = dt.timedelta(minutes=10)


def digest_of(text: str) -> str:
    """Tokens are random, so a plain SHA-256 is as good as a slow hash, and costs nothing."""
    return hashlib.sha256(text.encode()).hexdigest()


@transaction.atomic
def create_token(
    user: User, *, name: str, scopes: Iterable[str], days: int, created_by: User
) -> tuple[ApiToken, str]:
    """Make a token that acts as `user`. Returns the row and the text, which is nowhere else.

    Raise ValidationError for a name, scopes or days that cannot be.
    """
    wanted = sorted(set(scopes))
    errors: dict[str, str] = {}
    if not name.strip():
        errors["name"] = "Give it a name that says what uses it."
    if unknown := [scope for scope in wanted if scope not in SCOPES]:
        errors["scopes"] = f"Unknown: {', '.join(unknown)}. Known: {', '.join(SCOPES)}."
    elif not wanted:
        errors["scopes"] = "Choose at least one thing it may do."
    if not 1 <= days <= MAX_DAYS:
        errors["days"] = f"Choose 1 to {MAX_DAYS} days."
    if errors:
        raise ValidationError(errors)
    text = PREFIX + secrets.token_urlsafe(30)
    token = ApiToken(
        user=user,
        name=name.strip(),
        prefix=text[: len(PREFIX) + 6],
        digest=digest_of(text),
        scopes=wanted,
        created_by=created_by,
        expires_at=timezone.now() + dt.timedelta(days=days),
    )
    token.full_clean()
    token.save()
    _tell("token.created", token, created_by, after={"scopes": wanted, "days": days})
    return token, text


@transaction.atomic
def revoke_token(token: ApiToken, *, user: User) -> None:
    """Make a token useless at once. Its owner and a site admin may; again changes nothing."""
    if token.user_id != user.pk and token.created_by_id != user.pk and not user.is_site_admin:
        raise PermissionDenied("Only the token's owner can revoke it.")
    now = timezone.now()
    if ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=now):
        token.revoked_at = now
        _tell("token.revoked", token, user)


def authenticate_token(text: str) -> ApiToken | None:
    """The live token with this text, with its user. Notes the use, at most every ten minutes."""
    if not text.startswith(PREFIX):
        return None
    now = timezone.now()
    alive = ApiToken.objects.filter(
        digest=digest_of(text), revoked_at__isnull=True, expires_at__gt=now, user__is_active=True
    )
    token = alive.select_related("user").first()
    if token and (token.last_used_at is None or token.last_used_at < now - NOTE_USE_EVERY):
        stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - NOTE_USE_EVERY)
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
    return token


def _tell(verb: str, token: ApiToken, actor: User, after: dict[str, object] | None = None) -> None:
    record_event(verb, actor=actor, kind="token", id=token.uuid, label=token.name, after=after)
