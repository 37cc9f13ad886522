"""How pipelines, their versions and runs are listed, in the browser and over REST alike."""

from apps.core.filters import FilterField
from apps.core.listing import ListSpec
from apps.jobs.models import State

PIPELINE_LIST = ListSpec(
    fields={
        "project": FilterField("text", "project__slug"),
        "slug": FilterField("text", "slug"),
        "description": FilterField("text", "description"),
        "created_at": FilterField("datetime", "created_at"),
    },
    order="-id",
)
PIPELINE_VERSION_LIST = ListSpec(
    fields={
        "project": FilterField("text", "pipeline__project__slug"),
        "pipeline": FilterField("text", "pipeline__slug"),
        "number": FilterField("number", "number"),
        "created_at": FilterField("datetime", "created_at"),
    },
    order="-id",
)
PIPELINE_RUN_LIST = ListSpec(
    fields={
        "project": FilterField("text", "version__pipeline__project__slug"),
        "pipeline": FilterField("text", "version__pipeline__slug"),
        "version": FilterField("number", "version__number"),
        "state": FilterField("choice", "job__state", tuple(State.values)),
        "created_at": FilterField("datetime", "job__created_at"),
    },
    order="-id",
)
