"""How monitors, their evaluations and alerts are listed, in the browser and over REST alike."""

from apps.core.filters import FilterField
from apps.core.listing import ListSpec
from apps.jobs.models import State

MONITOR_LIST = ListSpec(
    fields={
        "slug": FilterField("text", "slug"),
        "project": FilterField("text", "endpoint__project__slug"),
        "endpoint": FilterField("text", "endpoint__slug"),
        "created_at": FilterField("datetime", "created_at"),
    }
)
EVALUATION_LIST = ListSpec(
    fields={
        "project": FilterField("text", "monitor__endpoint__project__slug"),
        "endpoint": FilterField("text", "monitor__endpoint__slug"),
        "monitor": FilterField("text", "monitor__slug"),
        "state": FilterField("choice", "job__state", tuple(State.values)),
        "window_start": FilterField("datetime", "window_start"),
        "window_end": FilterField("datetime", "window_end"),
        "row_count": FilterField("number", "row_count"),
        "created_at": FilterField("datetime", "job__created_at"),
    },
    order="-id",
)
ALERT_LIST = ListSpec(
    fields={
        "project": FilterField("text", "monitor__endpoint__project__slug"),
        "endpoint": FilterField("text", "monitor__endpoint__slug"),
        "monitor": FilterField("text", "monitor__slug"),
        "signal": FilterField("text", "signal"),
        "subject": FilterField("text", "subject"),
        "opened_at": FilterField("datetime", "opened_at"),
        "closed_at": FilterField("datetime", "closed_at"),
    },
    order="-id",
)
