"""Sources, and reading them into datasets."""

from apps.sources.datasets import (
    add_column_edges,
    create_dataset,
    ensure_dataset,
    get_dataset,
    get_version,
    record_version,
)

__all__ = [
    "add_column_edges",
    "create_dataset",
    "ensure_dataset",
    "get_dataset",
    "get_version",
    "record_version",
]
