"""Stage 1's services, by noun: sources, datasets, ingests, uploads."""

from apps.sources.datasets import (
    add_column_edges,
    create_dataset,
    ensure_dataset,
    get_dataset,
    get_version,
    record_version,
    update_dataset,
)
from apps.sources.ingesting import (
    finish_ingest,
    launch_ingest,
    launch_scheduled_ingest,
    read_rows,
)
from apps.sources.sources import (
    create_source,
    delete_source,
    get_source,
    look_at_source,
    read_definition,
    resolve_secret,
    update_source,
)

__all__ = [
    "add_column_edges",
    "create_dataset",
    "create_source",
    "delete_source",
    "ensure_dataset",
    "finish_ingest",
    "get_dataset",
    "get_source",
    "get_version",
    "launch_ingest",
    "launch_scheduled_ingest",
    "look_at_source",
    "read_definition",
    "read_rows",
    "record_version",
    "resolve_secret",
    "update_dataset",
    "update_source",
]
