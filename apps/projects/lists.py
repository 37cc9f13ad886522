"""How projects, members and project tokens are listed, in the browser and over REST alike."""

from apps.core.filters import FilterField
from apps.core.listing import ListSpec
from apps.projects.models import Role

PROJECT_LIST = ListSpec(
    fields={
        "name": FilterField("text", "name"),
        "slug": FilterField("text", "slug"),
        "description": FilterField("text", "description"),
        "created_at": FilterField("datetime", "created_at"),
        "archived_at": FilterField("datetime", "archived_at"),
    }
)
MEMBER_LIST = ListSpec(
    fields={
        "project": FilterField("text", "project__slug"),
        "email": FilterField("text", "user__email"),
        "name": FilterField("text", "user__name"),
        "role": FilterField("choice", "role", tuple(Role.values)),
        "created_at": FilterField("datetime", "created_at"),
    },
    order="-id",
)
PROJECT_TOKEN_LIST = ListSpec(
    fields={
        "name": FilterField("text", "name"),
        "project": FilterField("text", "user__memberships__project__slug"),
        "created_at": FilterField("datetime", "created_at"),
        "expires_at": FilterField("datetime", "expires_at"),
    },
    order="-id",
)
