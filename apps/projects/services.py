"""Projects and their members. An owner rules; there is always one."""

import uuid as uuids

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.http import Http404
from django.utils import timezone
from django.utils.text import slugify

from apps.accounts.models import ApiToken, User
from apps.accounts.tokens import create_token, revoke_token
from apps.core.errors import Conflict, NotHere
from apps.events.services import record_event
from apps.projects.models import Member, Project, Role

RESERVED = frozenset({"new", "all", "site", "api", "me"})
NEED = {
    Role.CONTRIBUTOR: "Only contributors and owners of this project can do this.",
    Role.OWNER: "Only owners of this project can do this.",
}


def role_in(user: User, project: Project) -> Role | None:
    """The user's role in the project, None for strangers."""
    found = Member.objects.filter(project=project, user_id=user.pk).values_list("role", flat=True)
    return Role(found[0]) if found else None


def get_project(user: User, slug: str, *, role: Role = Role.VIEWER) -> Project:
    """The project, if the user sees it (else Http404) and has the role (else PermissionDenied)."""
    project = Project.objects.visible_to(user).filter(slug=slug).first()
    if project is None:
        raise NotHere("There is no such project that you may see. Check its slug.")
    require_role(user, project, role)
    return project


def require_role(user: User, project: Project, role: Role) -> None:
    held = role_in(user, project)
    if held is None:
        raise Http404
    if held.rank < role.rank:
        raise PermissionDenied(NEED[role])


def require_open(project: Project) -> None:
    if project.archived_at is not None:
        raise Conflict(f"{project.name} is archived. Unarchive it before changing anything in it.")


def _tell(verb: str, project: Project, actor: User, **more: object) -> None:
    about = {"kind": "project", "id": project.uuid, "label": project.name, **more}
    record_event(verb, actor=actor, project_id=project.uuid, **about)  # type: ignore[arg-type]


@transaction.atomic
def create_project(*, name: str, slug: str = "", description: str = "", user: User) -> Project:
    """Make a project, owned by who makes it. Without a slug, one is made from the name."""
    if user.is_service:
        raise PermissionDenied("A project token cannot make projects. Use a person's.")
    slug = slug or slugify(name)[:48].strip("-")
    if slug in RESERVED:
        raise ValidationError({"slug": f"“{slug}” is a word of the portal's own. Choose another."})
    project = Project(name=name.strip(), slug=slug, description=description, created_by=user)
    project.full_clean()
    project.save()
    Member.objects.create(project=project, user=user, role=Role.OWNER)
    _tell("project.created", project, user, after={"name": project.name, "slug": slug})
    return project


@transaction.atomic
def update_project(
    project: Project, *, name: str | None = None, description: str | None = None, user: User
) -> Project:
    """Change name or description. Owners only; the slug stays for good."""
    require_role(user, project, Role.OWNER)
    require_open(project)
    before = {"name": project.name, "description": project.description}
    project.name = project.name if name is None else name.strip()
    project.description = project.description if description is None else description
    project.full_clean()
    project.save(update_fields=["name", "description"])
    after = {"name": project.name, "description": project.description}
    if before != after:
        _tell("project.updated", project, user, before=before, after=after)
    return project


@transaction.atomic
def set_archived(project: Project, *, is_archived: bool, user: User) -> Project:
    """Archive (read-only from then on) or bring back. Owners only; again changes nothing."""
    require_role(user, project, Role.OWNER)
    if (project.archived_at is not None) == is_archived:
        return project
    project.archived_at = timezone.now() if is_archived else None
    project.save(update_fields=["archived_at"])
    _tell(f"project.{'archived' if is_archived else 'unarchived'}", project, user)
    return project


@transaction.atomic
def add_member(project: Project, *, email: str, role: Role, user: User) -> Member:
    """Give somebody with an account (or an invitation) a role. Owners only."""
    require_role(user, project, Role.OWNER)
    require_open(project)
    person = User.objects.filter(email__iexact=email.strip(), is_service=False).first()
    if person is None or person.deactivated_at is not None:
        raise ValidationError(
            {"email": "Nobody with this address has an account. Ask a site admin to invite them."}
        )
    try:
        with transaction.atomic():
            member = Member.objects.create(project=project, user=person, role=role)
    except IntegrityError:
        raise ValidationError(
            {"email": f"{person} is a member already. Change the role in the list."}
        ) from None
    _tell_member("member.added", member, user, after={"role": role})
    return member


@transaction.atomic
def change_role(member: Member, *, role: Role, user: User) -> Member:
    """Give a member another role. Owners only; the last owner stays one, and a token is none."""
    require_role(user, member.project, Role.OWNER)
    require_open(member.project)
    if member.user.is_service:
        raise Conflict("A project token keeps its role. Revoke it and make another.")
    before = member.role
    if before == role:
        return member
    _refuse_last_owner(member)
    member.role = role
    member.save(update_fields=["role"])
    _tell_member("member.role_changed", member, user, before={"role": before}, after={"role": role})
    return member


@transaction.atomic
def remove_member(member: Member, *, user: User) -> None:
    """Take a member out; members may take themselves out. The last owner stays."""
    if member.user_id != user.pk:
        require_role(user, member.project, Role.OWNER)
    _refuse_last_owner(member)
    _tell_member("member.removed", member, user, before={"role": member.role})
    member.delete()


def _refuse_last_owner(member: Member) -> None:
    # Locked, so that two owners cannot leave each other at the same moment.
    Project.objects.select_for_update().get(pk=member.project_id)
    owners = Member.objects.filter(project=member.project, role=Role.OWNER, user__is_service=False)
    if member.role == Role.OWNER and not owners.exclude(pk=member.pk).exists():
        raise Conflict("This is the last owner. Make somebody else an owner first.")


def _tell_member(
    verb: str,
    member: Member,
    actor: User,
    *,
    before: dict[str, str] | None = None,
    after: dict[str, str] | None = None,
) -> None:
    record_event(
        verb,
        actor=actor,
        kind="member",
        id=member.uuid,
        label=str(member.user),
        project_id=member.project.uuid,
        before=before,
        after=after,
    )


@transaction.atomic
def take_ownership(project: Project, *, user: User) -> Member:
    """Make a site admin owner of a project, for when its owners have gone. The project sees it."""
    if not user.is_site_admin:
        raise PermissionDenied("Only a site admin can take over a project.")
    member, _ = Member.objects.update_or_create(
        project=project, user=user, defaults={"role": Role.OWNER}
    )
    _tell_member("member.took_ownership", member, user, after={"role": Role.OWNER})
    return member


@transaction.atomic
def create_project_token(
    project: Project, *, name: str, role: Role, scopes: list[str], days: int, user: User
) -> tuple[ApiToken, str]:
    """A token that acts as the project: a service account of its own, a member with `role`.

    Owners only. It goes on working when whoever made it leaves.
    """
    require_role(user, project, Role.OWNER)
    require_open(project)
    if role == Role.OWNER:
        raise ValidationError({"role": "A token cannot be an owner. Choose viewer or contributor."})
    account = User(
        email=f"{uuids.uuid4().hex}@service.invalid", name=name.strip()[:120], is_service=True
    )
    account.set_unusable_password()
    account.save()
    Member.objects.create(project=project, user=account, role=role)
    token, text = create_token(account, name=name, scopes=scopes, days=days, created_by=user)
    _tell("project_token.created", project, user, after={"token": token.name, "role": str(role)})
    return token, text


@transaction.atomic
def revoke_project_token(project: Project, token: ApiToken, *, user: User) -> None:
    """End a project's token, and the account behind it. Owners only."""
    require_role(user, project, Role.OWNER)
    revoke_token(token, user=token.user)
    User.objects.filter(pk=token.user_id).update(is_active=False, deactivated_at=timezone.now())
    Member.objects.filter(project=project, user_id=token.user_id).delete()
    _tell("project_token.revoked", project, user, before={"token": token.name})
