"""The names by which versions are known, and what they pointed to when."""

import datetime as dt
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.projects.models import Role
from apps.projects.services import require_open, require_role
from apps.registry.models import Alias, AliasChange, Model, ModelVersion, Verdict
from apps.registry.services import tell_model

# The one alias with a meaning of its own: what is live. Only approved versions, only by owners.
CHAMPION = "champion"


@dataclass(frozen=True)
class Pointer:
    """What an alias pointed to at some moment, and since when."""

    name: str
    version: ModelVersion
    since: dt.datetime
    changed_by: str


@transaction.atomic
def set_alias(model: Model, *, name: str, version: ModelVersion, user: User) -> Alias:
    """Point an alias at a version; pointing it where it points changes nothing.

    Contributors may, `champion` owners only and only at an approved version. Raise
    ValidationError for another model's version, Conflict for one that is not ready or approved.
    """
    _require(user, model, name)
    model = Model.objects.select_for_update(of=("self",)).get(pk=model.pk)
    version = ModelVersion.objects.select_for_update(of=("self",)).get(pk=version.pk)
    if version.model_id != model.pk:
        raise ValidationError({"version": "This version is of another model."})
    if not version.engine:
        raise Conflict(f"{version} is not ready: look at its job, and wait or register again.")
    if name == CHAMPION and version.verdict != Verdict.APPROVED:
        raise Conflict(f"{version} is not approved. Approve it, then make it champion.")
    alias = Alias.objects.filter(model=model, name=name).first() or Alias(model=model, name=name)
    before = alias.version.number if alias.pk else None
    if alias.pk and alias.version_id == version.pk:
        return alias
    alias.version = version
    alias.full_clean()
    alias.save()
    AliasChange.objects.create(model=model, name=name, version=version, changed_by=user)
    tell_model("model.alias_set", model, user, before={name: before}, after={name: version.number})
    return alias


@transaction.atomic
def remove_alias(model: Model, *, name: str, user: User) -> None:
    """Take an alias away; its history stays. Raise ValidationError when there is none."""
    _require(user, model, name)
    alias = Alias.objects.filter(model=model, name=name).select_related("version").first()
    if alias is None:
        raise ValidationError({"name": "The model has no alias of this name."})
    number = alias.version.number
    alias.delete()
    AliasChange.objects.create(model=model, name=name, version=None, changed_by=user)
    tell_model("model.alias_removed", model, user, before={name: number})


def _require(user: User, model: Model, name: str) -> None:
    role = Role.OWNER if name == CHAMPION else Role.CONTRIBUTOR
    require_role(user, model.project, role)
    require_open(model.project)


def aliases_at(model: Model, at: dt.datetime) -> list[Pointer]:
    """What each alias pointed to at a moment, by name."""
    changes = model.alias_changes.filter(changed_at__lte=at).order_by("id")
    found: dict[str, Pointer] = {}
    for each in changes.select_related("version__model", "changed_by"):
        found.pop(each.name, None)
        if each.version is not None:
            by = str(each.changed_by) if each.changed_by else ""
            found[each.name] = Pointer(each.name, each.version, each.changed_at, by)
    return [found[name] for name in sorted(found)]
