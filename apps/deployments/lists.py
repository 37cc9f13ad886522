"""How endpoints, releases, keys and route changes are listed."""

from apps.core.filters import FilterField
from apps.core.listing import ListSpec
from apps.jobs.models import State

ENDPOINT_LIST = ListSpec(
    fields={
        "project": FilterField("text", "project__slug"),
        "slug": FilterField("text", "slug"),
        "model": FilterField("text", "model__slug"),
        "description": FilterField("text", "description"),
        "created_at": FilterField("datetime", "created_at"),
    },
    order="-id",
)
RELEASE_LIST = ListSpec(
    fields={
        "project": FilterField("text", "endpoint__project__slug"),
        "endpoint": FilterField("text", "endpoint__slug"),
        "slug": FilterField("text", "slug"),
        "version": FilterField("uuid", "version__uuid"),
        "weight": FilterField("number", "weight"),
        "retired_at": FilterField("datetime", "retired_at"),
        "created_at": FilterField("datetime", "created_at"),
    },
    order="-id",
)
CHANGE_LIST = ListSpec(
    fields={
        "project": FilterField("text", "endpoint__project__slug"),
        "endpoint": FilterField("text", "endpoint__slug"),
        "number": FilterField("number", "number"),
        "state": FilterField("choice", "job__state", tuple(State.values)),
        "created_at": FilterField("datetime", "created_at"),
        "applied_at": FilterField("datetime", "applied_at"),
    },
    order="-id",
)
KEY_LIST = ListSpec(
    fields={
        "project": FilterField("text", "endpoint__project__slug"),
        "endpoint": FilterField("text", "endpoint__slug"),
        "name": FilterField("text", "name"),
        "created_at": FilterField("datetime", "created_at"),
        "expires_at": FilterField("datetime", "expires_at"),
        "revoked_at": FilterField("datetime", "revoked_at"),
    },
    order="-id",
)
