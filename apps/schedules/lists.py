"""How schedules are listed, in the browser and over REST alike."""

from apps.core.filters import FilterField
from apps.core.listing import ListSpec

SUBJECT_KINDS = ("pipeline", "ingest", "monitor")
SCHEDULE_LIST = ListSpec(
    fields={
        "project": FilterField("text", "project__slug"),
        "slug": FilterField("text", "slug"),
        "subject_kind": FilterField("choice", "subject_kind", SUBJECT_KINDS),
        "subject": FilterField("text", "subject_label"),
        "is_enabled": FilterField("bool", "is_enabled"),
        "next_run_at": FilterField("datetime", "next_run_at"),
        "created_at": FilterField("datetime", "created_at"),
    },
    order="-id",
)
