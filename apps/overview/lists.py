"""How backups are listed, in the browser and over REST alike."""

from apps.core.filters import FilterField
from apps.core.listing import ListSpec
from apps.jobs.models import State

BACKUP_LIST = ListSpec(
    fields={
        "archive": FilterField("text", "archive"),
        "state": FilterField("choice", "job__state", tuple(State.values)),
        "created_at": FilterField("datetime", "job__created_at"),
        "size_bytes": FilterField("number", "size_bytes"),
    },
    order="-id",
)
