"""Writing events. Call inside the transaction of the change that is told of."""

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from apps.core.requests import current_request_id
from apps.events.models import Event


class Actor(Protocol):
    """Who did it: a user, or anything else with a lasting id and a name."""

    uuid: UUID

    def __str__(self) -> str: ...


def record_event(
    verb: str,
    *,
    actor: Actor | None,
    kind: str,
    id: object,  # noqa: A002  (the field's name, keyword-only)
    label: str,
    project_id: UUID | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Event:
    """Write one event. `verb` is `noun.past_tense`, such as `member.added`.

    `actor` None means the portal itself. Fields equal in `before` and `after` are left out.
    """
    old, new = dict(before or {}), dict(after or {})
    same = {key for key in old.keys() & new.keys() if old[key] == new[key]}
    return Event.objects.create(
        verb=verb,
        actor_id=actor.uuid if actor else None,
        actor_label=str(actor)[:254] if actor else "Portolan",
        project_id=project_id,
        object_kind=kind,
        object_id=str(id),
        object_label=label[:254],
        before={key: value for key, value in old.items() if key not in same},
        after={key: value for key, value in new.items() if key not in same},
        request_id=current_request_id(),
    )
