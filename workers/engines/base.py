"""What every engine promises. An engine is where jobs really run; it knows neither Django nor us.

Each call to an engine has a deadline shorter than the lease's renewal. Engines never loop, retry,
sleep or wait on an SDK's poller: the worker looks again. Secrets arrive resolved in the context.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Protocol

JobState = Literal["running", "succeeded", "failed", "cancelled"]


class EngineError(Exception):
    """It says no, and will say no again. The message is the job's last event: plain, with a way
    on."""


class EngineUnavailable(Exception):
    """It could not be asked just now. The job's state is unknown until it can be."""


@dataclass(frozen=True)
class Observation:
    """What the engine says of a job now. `outputs` is merged into the job's."""

    state: JobState
    message: str = ""
    outputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        return self.state != "running"


@dataclass(frozen=True)
class Submission:
    """How far submitting has come.

    `external_id` names the job at the engine. While `is_complete` is False, submit is called again
    with `cursor`. Work that was done within the call itself carries its `observation`.
    """

    external_id: str
    cursor: str = ""
    is_complete: bool = True
    observation: Observation | None = None


@dataclass(frozen=True)
class TargetCheck:
    """What the reconciler shows of a target: `facts` are label → value, in reading order."""

    state: Literal["ready", "limited", "unreachable"]
    message: str
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)


class JobEngine(Protocol):
    """One kind of job on one engine. `job_id` is a UUID's text; `spec` never changes."""

    def submit(self, job_id: str, spec: Mapping[str, Any], cursor: str) -> Submission:
        """Start the job, at most once per `job_id` however often it is called: safe to repeat."""
        ...

    def poll(self, external_id: str) -> Observation:
        """Look once. An unknown state of the service's is "running" with that state as message."""
        ...

    def poll_many(self, external_ids: Sequence[str]) -> dict[str, Observation]:
        """`poll` for many, in one list or query call where the service has one.

        An id may be missing from the answer; it is then polled alone.
        """
        ...

    def cancel(self, external_id: str) -> None:
        """Ask it to stop, all of it. Does nothing when it has ended or was never known."""
        ...

    def logs(self, external_id: str, cursor: str) -> tuple[str, str]:
        """Text after `cursor` ("" is the start), at most 64 KiB, and the cursor after it."""
        ...


class Support(StrEnum):
    """What an engine does with one field of a definition."""

    HONOURS = "honours"
    APPROXIMATES = "approximates"
    IGNORES = "ignores"
    REFUSES = "refuses"


@dataclass(frozen=True)
class FieldSupport:
    """`note` says how or why; it must be there unless the field is honoured."""

    support: Support
    note: str = ""


HONOURED = FieldSupport(Support.HONOURS)


@dataclass(frozen=True)
class JobSupport:
    """One kind of job an engine can run: where the code is and what each field of it becomes.

    `path` is "module:Class". `is_interactive` kinds answer within `submit`, for `ask`.
    """

    path: str
    fields: Mapping[str, FieldSupport]
    is_interactive: bool = False


@dataclass(frozen=True)
class EngineInfo:
    """An engine's card, in its folder's `__init__` as `INFO`. Importing it imports no SDK.

    `jobs`' keys are its capabilities. `check_path` ("module:function") takes the context and gives
    a `TargetCheck`. `is_host_bound`: a job stays on the worker host that submitted it.
    """

    name: str
    label: str
    jobs: Mapping[str, JobSupport]
    check_path: str
    options: Mapping[str, str] = field(default_factory=dict)
    poll_seconds: float = 5.0
    is_host_bound: bool = False


@dataclass(frozen=True)
class EngineContext:
    """What an engine is handed when opened.

    `var_dir` is the portal's own folder, `host` this worker's name, `options` the target's,
    `secrets` its resolved credentials, `environment` what a trusted job of ours needs to reach the
    portal's database, `limits` the site's limits for one local job, `environments_dir` where the
    Python environments of jobs lie.
    """

    var_dir: Path
    host: str
    options: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    environments_dir: Path = Path(".envs")
