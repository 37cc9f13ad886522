"""How jobs are listed, in the browser and over REST alike."""

from apps.core.filters import FilterField
from apps.core.listing import ListSpec
from apps.jobs.models import State

JOB_LIST = ListSpec(
    fields={
        "state": FilterField("choice", "state", tuple(State.values)),
        "kind": FilterField("text", "kind"),
        "label": FilterField("text", "label"),
        "message": FilterField("text", "message"),
        "project": FilterField("text", "project__slug"),
        "target": FilterField("text", "target__slug"),
        "created_by": FilterField("text", "created_by__name"),
        "created_at": FilterField("datetime", "created_at"),
        "started_at": FilterField("datetime", "started_at"),
        "finished_at": FilterField("datetime", "finished_at"),
        "reachable": FilterField("bool", "reachable"),
    }
)
