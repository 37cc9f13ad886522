"""Sources: made, changed, looked at, removed while nothing depends on them."""

import uuid as uuids
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.core.crypto import decrypt, encrypt
from apps.core.errors import Conflict
from apps.events.services import record_event
from apps.jobs.asking import ask
from apps.projects.models import Project, Role
from apps.projects.services import require_open, require_role
from apps.sources.models import Source
from apps.sources.places import reach, refuse_out_of_reach
from apps.targets.services import get_local_target
from runtime.definitions import PreviewSourceSpec
from runtime.documents.base import DocumentError, validate_document
from runtime.documents.source import PostgresConnection, SourceDocument

TEST_SECONDS = 15.0
SECRET_PREFIX = "source:"  # noqa: S105  (not a secret: what references to secrets begin with)
MAX_SECRET = 1_000


def read_definition(definition: Any) -> SourceDocument:
    """The document, checked. Raise ValidationError with fields such as
    `definition.connection.path`."""
    try:
        return validate_document(SourceDocument, definition)
    except DocumentError as error:
        found = {".".join(filter(None, ("definition", k))): v for k, v in error.errors.items()}
        raise ValidationError(found) from None


def get_source(project: Project, slug: str) -> Source | None:
    """The project's source of this slug, None for no slug. Raise ValidationError for `source`."""
    if not slug:
        return None
    source = Source.objects.filter(project=project, slug=slug).first()
    if source is None:
        raise ValidationError({"source": f"{project.name} has no source “{slug}”. Make it first."})
    return source


@transaction.atomic
def create_source(
    project: Project,
    *,
    slug: str,
    definition: Mapping[str, Any],
    description: str = "",
    secret: str = "",
    user: User,
) -> Source:
    """Make a source by its document. `secret`: a database's password. Contributors only."""
    require_role(user, project, Role.CONTRIBUTOR)
    require_open(project)
    document = _checked(project, definition, secret)
    source = Source(
        project=project,
        slug=slug,
        description=description,
        definition=document.model_dump(mode="json", exclude_unset=True),
        secret=encrypt(secret) if secret else "",
        created_by=user,
    )
    source.full_clean(exclude=["created_by"])
    source.save()
    _tell("source.created", source, user, after=_shown(source))
    return source


@transaction.atomic
def update_source(
    source: Source,
    *,
    definition: Mapping[str, Any] | None = None,
    description: str | None = None,
    secret: str | None = None,
    user: User,
) -> Source:
    """Change what is given; an empty `secret` takes the old one away. Contributors only."""
    require_role(user, source.project, Role.CONTRIBUTOR)
    require_open(source.project)
    before = _shown(source)
    asked = source.definition if definition is None else definition
    document = _checked(source.project, asked, secret or "")
    if definition is not None:
        source.definition = document.model_dump(mode="json", exclude_unset=True)
    if description is not None:
        source.description = description
    if secret is not None:
        source.secret = encrypt(secret) if secret else ""
    if source.secret and not isinstance(document.connection, PostgresConnection):
        source.secret = ""
    source.full_clean(exclude=["created_by"])
    after = _shown(source)
    if before != after or secret:
        source.updated_at = timezone.now()
        source.save()
        _tell("source.updated", source, user, before=before, after=after)
    return source


@transaction.atomic
def delete_source(source: Source, *, user: User) -> None:
    """Remove a source that fills no dataset. Contributors only. Raise Conflict otherwise."""
    require_role(user, source.project, Role.CONTRIBUTOR)
    require_open(source.project)
    if (dataset := source.datasets.first()) is not None:
        raise Conflict(
            f"Dataset “{dataset.slug}” is filled from this source, so it stays. Point the source "
            "elsewhere instead."
        )
    _tell("source.deleted", source, user, before=_shown(source))
    source.delete()


def look_at_source(source: Source, *, rows: int = 20, user: User) -> dict[str, Any]:
    """Connect and read the first rows: {"columns", "rows", "is_cut"}. Contributors only, for it
    uses the source's secret. Raise ValidationError with what is wrong, NoAnswer."""
    require_role(user, source.project, Role.CONTRIBUTOR)
    document = read_definition(source.definition)
    spec = PreviewSourceSpec(definition=source.definition, rows=rows, **reach(source, document))
    said = ask(
        "preview_source",
        spec=asdict(spec),
        target=get_local_target(),
        user=user,
        project=source.project,
        deadline=TEST_SECONDS,
    )
    raise_refusal(said, prefix="definition.")
    return {name: said[name] for name in ("columns", "rows", "is_cut")}


def raise_refusal(said: Mapping[str, Any], *, prefix: str = "") -> None:
    """A question's refusal as the ValidationError it stands for."""
    error = said.get("error")
    if not isinstance(error, dict):
        return
    field = str(error.get("field") or "")
    text = str(error.get("message") or "The question was refused.")
    name = field if field == "secret" or not field else f"{prefix}{field}"
    raise ValidationError({name: text} if name else text)


def resolve_secret(reference: str, project: Project | None) -> str:
    """The secret that a spec names, for the engine that runs it: `source:<uuid>`, of the job's own
    project. Raise ValueError with what to do when it cannot be had."""
    try:
        uuid = uuids.UUID(reference.removeprefix(SECRET_PREFIX))
    except ValueError:
        raise ValueError(f"“{reference}” names no secret.") from None
    source = Source.objects.filter(project=project, uuid=uuid).first()
    if source is None or not source.secret:
        raise ValueError("The source's secret is gone. Enter it again, then launch it again.")
    return decrypt(source.secret)


def _checked(project: Project, definition: Any, secret: str) -> SourceDocument:
    document = read_definition(definition)
    refuse_out_of_reach(project, document)
    if secret and not isinstance(document.connection, PostgresConnection):
        raise ValidationError({"secret": "This kind of source has no password. Leave it out."})
    if len(secret) > MAX_SECRET or "\0" in secret:
        raise ValidationError({"secret": f"A password has at most {MAX_SECRET:,} characters."})
    return document


def _shown(source: Source) -> dict[str, Any]:
    """What events may hold: never the secret."""
    return {
        "slug": source.slug,
        "description": source.description,
        "definition": source.definition,
        "has_secret": bool(source.secret),
    }


def _tell(
    verb: str,
    source: Source,
    actor: User,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    record_event(
        verb,
        actor=actor,
        kind="source",
        id=source.uuid,
        label=source.slug,
        project_id=source.project.uuid,
        before=before,
        after=after,
    )
