"""How models and their versions are listed, in the browser and over REST alike."""

from apps.core.filters import FilterField
from apps.core.listing import ListSpec
from apps.jobs.models import State
from apps.registry.models import Verdict

ENGINES = ("onnx", "native")
MODEL_LIST = ListSpec(
    fields={
        "project": FilterField("text", "project__slug"),
        "slug": FilterField("text", "slug"),
        "description": FilterField("text", "description"),
        "created_at": FilterField("datetime", "created_at"),
    },
    order="-id",
)
VERSION_LIST = ListSpec(
    fields={
        "project": FilterField("text", "model__project__slug"),
        "model": FilterField("text", "model__slug"),
        "number": FilterField("number", "number"),
        "run": FilterField("uuid", "run__uuid"),
        "engine": FilterField("choice", "engine", ENGINES),
        "verdict": FilterField("choice", "verdict", tuple(Verdict.values)),
        "state": FilterField("choice", "job__state", tuple(State.values)),
        "created_at": FilterField("datetime", "created_at"),
    },
    order="-id",
)
