"""People: invited, signed in, made site admin, deactivated. Tokens are in `tokens.py`."""

import datetime as dt
import secrets
import zoneinfo
from collections.abc import Mapping

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.mail import send_mail
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import ApiToken, Invitation, User
from apps.accounts.tokens import digest_of
from apps.core.errors import Conflict
from apps.events.services import record_event

LINK_SECONDS = 300
LINK_SALT = "portolan.sign-in-link"
FIRST_ADMIN = "admin@localhost.localdomain"


def _tell(
    verb: str, person: User, actor: User | None, after: Mapping[str, object] | None = None
) -> None:
    record_event(verb, actor=actor, kind="person", id=person.uuid, label=person.email, after=after)


def _refuse_all_but_site_admins(user: User) -> None:
    if not user.is_site_admin:
        raise PermissionDenied("Only a site admin can do this.")


@transaction.atomic
def ensure_site_admin(email: str = FIRST_ADMIN) -> tuple[User, str] | None:
    """Make the first site admin, with a random password that is nowhere else. None if there is
    one already."""
    if User.objects.filter(is_site_admin=True).exists():
        return None
    password = secrets.token_urlsafe(12)
    admin = User(email=email, name="Site admin", is_site_admin=True)
    admin.set_password(password)
    admin.save()
    _tell("person.created", admin, None, after={"is_site_admin": True})
    return admin, password


def make_sign_in_link(user: User) -> str:
    """An address that signs `user` in once, within five minutes."""
    token = signing.dumps({"user": str(user.uuid), "last": str(user.last_login)}, salt=LINK_SALT)
    return f"{settings.ENV.base_url}/account/link/{token}/"


def read_sign_in_link(token: str) -> User | None:
    """Whom a link signs in; None when it is old, used or not ours. Signing in uses it up."""
    try:
        said = signing.loads(token, salt=LINK_SALT, max_age=LINK_SECONDS)
    except signing.BadSignature:
        return None
    user = User.objects.filter(uuid=said["user"], is_active=True, is_service=False).first()
    return user if user and str(user.last_login) == said["last"] else None


@transaction.atomic
def invite_person(
    *, email: str, name: str, is_site_admin: bool = False, user: User
) -> tuple[Invitation, str]:
    """Invite somebody. Returns the invitation and its link, which is mailed and nowhere else.

    The person is a row at once, so roles can be given before the invitation is accepted.
    """
    _refuse_all_but_site_admins(user)
    email = email.strip().lower()
    if User.objects.filter(email__iexact=email).exists():
        raise ValidationError({"email": "This person has an account or an invitation already."})
    person = User(email=email, name=name.strip(), is_site_admin=is_site_admin, is_active=False)
    person.set_unusable_password()
    person.full_clean(exclude=["password"])
    person.save()
    _tell("person.invited", person, user, after={"is_site_admin": is_site_admin})
    return _new_invitation(person, user)


@transaction.atomic
def renew_invitation(person: User, *, user: User) -> tuple[Invitation, str]:
    """A new link, good for another week; the old one stops working."""
    _refuse_all_but_site_admins(user)
    if not person.is_invited:
        raise Conflict("This person has accepted already.")
    Invitation.objects.filter(user=person).delete()
    _tell("person.invited_again", person, user)
    return _new_invitation(person, user)


def _new_invitation(person: User, user: User) -> tuple[Invitation, str]:
    text = secrets.token_urlsafe(30)
    invitation = Invitation.objects.create(
        user=person,
        invited_by=user,
        digest=digest_of(text),
        expires_at=timezone.now() + dt.timedelta(days=settings.ENV.invitation_days),
    )
    link = f"{settings.ENV.base_url}/account/invitation/{text}/"
    body = (
        f"{user} invites you to Portolan at {settings.ENV.base_url}.\n\n"
        f"Choose a password here within {settings.ENV.invitation_days} days:\n{link}\n"
    )

    def send() -> None:
        send_mail("Your invitation to Portolan", body, None, [person.email])

    transaction.on_commit(send, robust=True)
    return invitation, link


@transaction.atomic
def revoke_invitation(person: User, *, user: User) -> None:
    """Take an invitation back: the person, who never was here, is forgotten."""
    _refuse_all_but_site_admins(user)
    if not person.is_invited:
        raise Conflict("This person has accepted already. Deactivate them instead.")
    _tell("person.invitation_revoked", person, user)
    person.delete()


def find_invitation(text: str) -> Invitation | None:
    """The open invitation with this link; None when it was used, revoked or has expired."""
    open_ones = Invitation.objects.filter(accepted_at__isnull=True, expires_at__gt=timezone.now())
    return open_ones.filter(digest=digest_of(text)).select_related("user", "invited_by").first()


@transaction.atomic
def accept_invitation(invitation: Invitation, *, password: str | None, name: str = "") -> User:
    """Turn the invited into a person who can sign in. `password` None: they come by OIDC.

    Raise ValidationError for a weak password, Conflict when somebody was faster.
    """
    person = User.objects.select_for_update().get(pk=invitation.user_id)
    if not person.is_invited:
        raise Conflict("This invitation has been used. Sign in instead.")
    if name.strip():
        person.name = name.strip()
    if password is not None:
        try:
            validate_password(password, person)
        except ValidationError as error:
            raise ValidationError({"password": error.messages}) from None
        person.set_password(password)
    person.is_active = True
    person.full_clean(exclude=["password"])
    person.save()
    Invitation.objects.filter(pk=invitation.pk).update(accepted_at=timezone.now())
    _tell("person.accepted", person, person)
    return person


@transaction.atomic
def deactivate_person(person: User, *, user: User) -> None:
    """Shut somebody out: sessions end, tokens stop, what they made stays."""
    _refuse_all_but_site_admins(user)
    if person.pk == user.pk:
        raise Conflict("You cannot deactivate yourself. Ask another site admin.")
    if person.deactivated_at is not None:
        return
    if person.is_invited:
        raise Conflict("This person has not accepted yet. Revoke the invitation instead.")
    _refuse_last_admin(person)
    person.is_active, person.deactivated_at = False, timezone.now()
    person.save(update_fields=["is_active", "deactivated_at"])
    end_sessions(person)
    now = timezone.now()
    ApiToken.objects.filter(user=person, revoked_at__isnull=True).update(revoked_at=now)
    _tell("person.deactivated", person, user)


def _refuse_last_admin(person: User) -> None:
    others = User.objects.filter(is_site_admin=True, is_active=True).exclude(pk=person.pk)
    if person.is_site_admin and not others.exists():
        raise Conflict("This is the last site admin. Make somebody else one first.")


def end_sessions(person: User) -> None:
    """Sign somebody out everywhere."""
    for session in UserSession.objects.filter(user=person):
        session.end()


@transaction.atomic
def reactivate_person(person: User, *, user: User) -> None:
    """Let somebody in again, with the password they had. Their tokens stay revoked."""
    _refuse_all_but_site_admins(user)
    if person.is_service or person.deactivated_at is None:
        raise Conflict("Only a deactivated person can be reactivated.")
    person.is_active, person.deactivated_at = True, None
    person.save(update_fields=["is_active", "deactivated_at"])
    _tell("person.reactivated", person, user)


@transaction.atomic
def set_site_admin(person: User, *, is_site_admin: bool, user: User) -> None:
    """Give or take site administration. There is always one left."""
    _refuse_all_but_site_admins(user)
    if person.is_service:
        raise Conflict("A service account cannot be a site admin.")
    if person.is_site_admin == is_site_admin:
        return
    if not is_site_admin:
        _refuse_last_admin(person)
    person.is_site_admin = is_site_admin
    person.save(update_fields=["is_site_admin"])
    verb = "person.made_site_admin" if is_site_admin else "person.no_longer_site_admin"
    _tell(verb, person, user)


@transaction.atomic
def update_profile(user: User, *, name: str | None = None, time_zone: str | None = None) -> User:
    """Change one's own name or time zone (an IANA name)."""
    before = {"name": user.name, "time_zone": user.time_zone}
    if name is not None:
        user.name = name.strip()
    if time_zone is not None:
        if time_zone not in zoneinfo.available_timezones():
            raise ValidationError({"time_zone": "Choose a time zone such as Europe/Zurich."})
        user.time_zone = time_zone
    user.full_clean(exclude=["password"])
    user.save(update_fields=["name", "time_zone"])
    after = {"name": user.name, "time_zone": user.time_zone}
    if before != after:
        record_event(
            "person.updated", actor=user, kind="person", id=user.uuid, label=user.email,
            before=before, after=after,
        )  # fmt: skip
    return user


def find_actor(email: str = "") -> User:
    """Who acts on the command line: the person of this address, or else the first site admin.

    Raise ValidationError when there is no such active person.
    """
    people = User.objects.filter(is_active=True, is_service=False)
    if email:
        person = people.filter(email__iexact=email).first()
        text = f"There is no active account for {email}. See the list of people."
    else:
        person = people.filter(is_site_admin=True).order_by("pk").first()
        text = "There is no site admin yet. Start the portal once: make run."
    if person is None:
        raise ValidationError({"as": text})
    return person
