"""How people and tokens are listed, in the browser and over REST alike."""

from apps.core.filters import FilterField
from apps.core.listing import ListSpec

PEOPLE_LIST = ListSpec(
    fields={
        "email": FilterField("text", "email"),
        "name": FilterField("text", "name"),
        "is_site_admin": FilterField("bool", "is_site_admin"),
        "is_active": FilterField("bool", "is_active"),
        "created_at": FilterField("datetime", "created_at"),
        "deactivated_at": FilterField("datetime", "deactivated_at"),
    },
    order="-id",
)
TOKEN_LIST = ListSpec(
    fields={
        "name": FilterField("text", "name"),
        "created_at": FilterField("datetime", "created_at"),
        "expires_at": FilterField("datetime", "expires_at"),
        "revoked_at": FilterField("datetime", "revoked_at"),
    },
    order="-id",
)
