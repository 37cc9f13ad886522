"""How events are listed, in the browser and over REST alike."""

import json
from collections.abc import Iterator

from django.db.models import QuerySet

from apps.core.filters import FilterField
from apps.core.listing import ListSpec
from apps.events.models import Event

EVENT_LIST = ListSpec(
    fields={
        "at": FilterField("datetime", "at"),
        "verb": FilterField("text", "verb"),
        "actor": FilterField("text", "actor_label"),
        "actor_id": FilterField("uuid", "actor_id"),
        "kind": FilterField("text", "object_kind"),
        "id": FilterField("text", "object_id"),
        "label": FilterField("text", "object_label"),
        "project_id": FilterField("uuid", "project_id"),
        "request_id": FilterField("text", "request_id"),
    },
    order="-id",
)
FIELDS = (
    "at", "actor_id", "actor_label", "project_id", "verb", "object_kind", "object_id",
    "object_label", "before", "after", "request_id",
)  # fmt: skip


def json_lines(events: QuerySet[Event]) -> Iterator[str]:
    """Each event as one line of JSON, newest first, read as it is sent."""
    for row in events.order_by("-id").values(*FIELDS).iterator(chunk_size=1000):
        row["at"] = row["at"].isoformat()
        yield json.dumps(row, default=str, ensure_ascii=False) + "\n"
