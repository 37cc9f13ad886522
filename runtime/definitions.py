"""What a job of each kind is asked to do: the fields of its spec, with their units.

Plain data, known to services (which fill it in), to engines (which declare what they do with every
field) and to what runs inside the job (which reads it).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from runtime.documents.base import Document, field_paths
from runtime.documents.monitor import MonitorDocument
from runtime.documents.training import TrainingDocument


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


@dataclass(frozen=True)
class EvaluateSpec:
    """Evaluate a monitor: look at an endpoint's captured requests from `window_start` up to, not
    including, `window_end` (ISO 8601), against its releases' training references.

    `endpoint` is a uuid; `releases` a list of {"uuid", "slug", "version" (the model version's
    uuid)}; `definition` a MonitorDocument.
    """

    endpoint: str
    definition: Mapping[str, Any]
    window_start: str
    window_end: str
    releases: Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class FindRequestSpec:
    """Find one captured request by its id among those of `endpoints` (uuids), newest first."""

    request_id: str
    endpoints: Sequence[str]


@dataclass(frozen=True)
class RegisterSpec:
    """Make a model version's package of a run's artifacts.

    `version`: its UUID. `artifacts`: the run's folder, absolute. `files`: the paths in it that
    count, each with the SHA-256 the run left.
    """

    version: str
    artifacts: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class TrainSpec:
    """Train one model by a `TrainingDocument`, all defaults filled in.

    `run`: the run's UUID, whose folder under `var/artifacts` is filled. `path`, `number`: the
    dataset's Delta table and the pinned version of it.
    """

    run: str
    path: str
    number: int
    definition: Mapping[str, Any]


KINDS: dict[str, type] = {
    "backup": BackupSpec,
    "check": CheckSpec,
    "probe": ProbeSpec,
    "train": TrainSpec,
    "register": RegisterSpec,
    "evaluate": EvaluateSpec,
    "find_request": FindRequestSpec,
}


# The documents that specs carry as their `definition`: engines declare every field of these too.
DOCUMENTS: dict[str, type[Document]] = {"evaluate": MonitorDocument, "train": TrainingDocument}


def field_names(kind: str) -> frozenset[str]:
    """The fields a spec of this kind may have."""
    return frozenset(field.name for field in fields(KINDS[kind]))


def document_fields(kind: str) -> frozenset[str]:
    """The dotted fields of the document that a spec of this kind carries, if it carries one."""
    return field_paths(DOCUMENTS[kind]) if kind in DOCUMENTS else frozenset()
