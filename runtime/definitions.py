"""What a job of each kind is asked to do: the fields of its spec, with their units.

Plain data, known to services (which fill it in), to engines (which declare what they do with every
field) and to what runs inside the job (which reads it).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from runtime.documents.base import Document, field_paths
from runtime.documents.endpoint import EndpointDocument
from runtime.documents.monitor import MonitorDocument
from runtime.documents.pipeline import PipelineDocument
from runtime.documents.source import SourceDocument
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
class DeploySpec:
    """Have the scoring server serve `snapshot`, the routes of all endpoints, numbered `number`.

    `endpoint`: the uuid of the one that changed; `definition` is its EndpointDocument. `seconds`:
    how long the server may take to say that it serves it.
    """

    endpoint: str
    number: int
    snapshot: Mapping[str, Any]
    definition: Mapping[str, Any]
    seconds: int = 60


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
class IngestSpec:
    """Read a source and write what it holds as the next version of a dataset.

    `definition` is a SourceDocument. `path`: the upload, folder or database file, resolved, "" for
    a server; `name` what the upload is called. `secret` names the source's secret, "" where it has
    none. `allowed_hosts`: private hosts the site allows. `dataset` is a uuid, `dataset_slug` its
    name in the outputs, `table` the Delta table's folder, `columns` those of its last version;
    `schema_change` "refuse" or "accept": what to do when they are others now.
    """

    definition: Mapping[str, Any]
    dataset: str
    dataset_slug: str
    table: str
    path: str = ""
    name: str = ""
    secret: str = ""
    allowed_hosts: Sequence[str] = ()
    columns: Sequence[Mapping[str, str]] = ()
    schema_change: str = "refuse"


@dataclass(frozen=True)
class PipelineSpec:
    """Run a pipeline. `definition` is a PipelineDocument as JSON text, so that its order is kept
    wherever the spec is; `parameters` has a value for each of its parameters.

    `inputs` maps each read step to {"path", "number"}: a Delta table and the pinned version of it;
    `outputs` each write step to {"path", "dataset"}: the table's folder and the dataset's uuid.
    """

    definition: str
    parameters: Mapping[str, Any]
    inputs: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class PreviewStepSpec:
    """Look at the first `limit` rows after `step`. The rest is as in `PipelineSpec`."""

    definition: str
    parameters: Mapping[str, Any]
    step: str
    limit: int
    inputs: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class PreviewSourceSpec:
    """Look at a source: its columns and first `rows` rows. The rest is as in `IngestSpec`."""

    definition: Mapping[str, Any]
    path: str = ""
    name: str = ""
    secret: str = ""
    allowed_hosts: Sequence[str] = ()
    rows: int = 20


@dataclass(frozen=True)
class ReadRowsSpec:
    """Read up to `limit` rows of version `number` of the Delta table at `path`; `where` maps
    columns to the values they must have, as texts ("" is null) or lists of texts."""

    path: str
    number: int
    limit: int = 20
    where: Mapping[str, str | Sequence[str]] = field(default_factory=dict)


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
    "deploy": DeploySpec,
    "probe": ProbeSpec,
    "train": TrainSpec,
    "register": RegisterSpec,
    "evaluate": EvaluateSpec,
    "find_request": FindRequestSpec,
    "ingest": IngestSpec,
    "pipeline": PipelineSpec,
    "preview_source": PreviewSourceSpec,
    "preview_step": PreviewStepSpec,
    "read_rows": ReadRowsSpec,
}


# The documents that specs carry as their `definition`: engines declare every field of these too.
DOCUMENTS: dict[str, type[Document]] = {
    "deploy": EndpointDocument,
    "ingest": SourceDocument,
    "pipeline": PipelineDocument,
    "preview_source": SourceDocument,
    "evaluate": MonitorDocument,
    "train": TrainingDocument,
}

# Fields of specs that concern more than the job's own project: people are not shown them.
UNSHOWN: dict[str, frozenset[str]] = {
    "deploy": frozenset({"snapshot"}),
    "ingest": frozenset({"allowed_hosts", "path", "table"}),
}


def field_names(kind: str) -> frozenset[str]:
    """The fields a spec of this kind may have."""
    return frozenset(each.name for each in fields(KINDS[kind]))


def document_fields(kind: str) -> frozenset[str]:
    """The dotted fields of the document that a spec of this kind carries, if it carries one."""
    return field_paths(DOCUMENTS[kind]) if kind in DOCUMENTS else frozenset()
