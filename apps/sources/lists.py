"""How sources, uploads, datasets and their versions are listed, in the browser and over REST."""

from apps.core.filters import FilterField
from apps.core.listing import ListSpec

SOURCE_LIST = ListSpec(
    fields={
        "slug": FilterField("text", "slug"),
        "project": FilterField("text", "project__slug"),
        "description": FilterField("text", "description"),
        "kind": FilterField("text", "definition__connection__kind"),
        "created_at": FilterField("datetime", "created_at"),
        "updated_at": FilterField("datetime", "updated_at"),
    }
)
UPLOAD_LIST = ListSpec(
    fields={
        "name": FilterField("text", "name"),
        "project": FilterField("text", "project__slug"),
        "size_bytes": FilterField("number", "size_bytes"),
        "sha256": FilterField("text", "sha256"),
        "created_at": FilterField("datetime", "created_at"),
    }
)
DATASET_LIST = ListSpec(
    fields={
        "slug": FilterField("text", "slug"),
        "project": FilterField("text", "project__slug"),
        "source": FilterField("text", "source__slug"),
        "description": FilterField("text", "description"),
        "created_at": FilterField("datetime", "created_at"),
    }
)
DATASET_VERSION_LIST = ListSpec(
    fields={
        "dataset": FilterField("text", "dataset__slug"),
        "dataset_uuid": FilterField("uuid", "dataset__uuid"),
        "project": FilterField("text", "dataset__project__slug"),
        "number": FilterField("number", "number"),
        "row_count": FilterField("number", "row_count"),
        "size_bytes": FilterField("number", "size_bytes"),
        "origin_kind": FilterField("text", "origin_kind"),
        "origin_id": FilterField("uuid", "origin_id"),
        "created_at": FilterField("datetime", "created_at"),
    }
)
