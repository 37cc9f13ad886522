"""What a job of each kind is asked to do: the fields of its spec, with their units.

Plain data, known to services (which fill it in), to engines (which declare what they do with every
field) and to what runs inside the job (which reads it).
"""

from dataclasses import dataclass, fields

from runtime.documents.base import Document, field_paths


@dataclass(frozen=True)
class BackupSpec:
    """Back up the portal: `archive` is a file name in `var/backups`."""

    archive: str
    include_lake: bool = True


@dataclass(frozen=True)
class CheckSpec:
    """Check that a target confines and limits work as it should.

    `seconds`: how long the check's process goes on reporting after its tests, 0 to 3600 (it is
    also how limits and cancelling are tried out). `memory_mb`: the memory limit it runs under.
    """

    seconds: int = 0
    memory_mb: int = 256


@dataclass(frozen=True)
class ProbeSpec:
    """Ask a warm, confined process what it is and what it may do. Nothing to set but the topics."""

    topics: tuple[str, ...] = ("python", "confinement", "limits")


KINDS: dict[str, type] = {"backup": BackupSpec, "check": CheckSpec, "probe": ProbeSpec}


# The documents that specs carry as their `definition`: engines declare every field of these too.
DOCUMENTS: dict[str, type[Document]] = {}


def field_names(kind: str) -> frozenset[str]:
    """The fields a spec of this kind may have."""
    return frozenset(field.name for field in fields(KINDS[kind]))


def document_fields(kind: str) -> frozenset[str]:
    """The dotted fields of the document that a spec of this kind carries, if it carries one."""
    return field_paths(DOCUMENTS[kind]) if kind in DOCUMENTS else frozenset()
