"""The routing snapshot: what is to be served, as the portal wrote it. Checked whole, or refused."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

MAX_BYTES = 64 * 1024 * 1024
POLICIES = ("keep", "hash", "drop")


class SnapshotError(Exception):
    """The snapshot cannot be served. The message says why; `endpoint`, the uuid, where."""

    def __init__(self, message: str, *, endpoint: str = "") -> None:
        super().__init__(message)
        self.endpoint = endpoint


@dataclass(frozen=True)
class ReleaseSpec:
    """`weight` is percent of the endpoint's traffic."""

    uuid: str
    slug: str
    version: str
    package: str
    weight: int


@dataclass(frozen=True)
class Limits:
    rows: int = 1000
    body_bytes: int = 1048576
    queue: int = 64
    deadline_seconds: float = 10.0


@dataclass(frozen=True)
class Capture:
    is_on: bool = True
    sample: float = 1.0
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EndpointSpec:
    """`keys` maps digests of keys to when they end (epoch seconds; infinity: never).

    `key_columns` are columns that name a row beside those the model's signature knows.
    """

    uuid: str
    path: str
    keys: Mapping[str, float]
    releases: tuple[ReleaseSpec, ...]
    sticky: str
    key_columns: tuple[str, ...]
    capture: Capture
    limits: Limits


@dataclass(frozen=True)
class Snapshot:
    number: int
    endpoints: tuple[EndpointSpec, ...] = ()


def read_snapshot(path: str) -> Snapshot | None:
    """The snapshot in a file; None without one. Raise SnapshotError when it does not hold."""
    try:
        if os.path.getsize(path) > MAX_BYTES:
            raise SnapshotError("The snapshot is larger than 64 MB.")
        with open(path, "rb") as file:
            data = orjson.loads(file.read())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SnapshotError(f"The snapshot cannot be read: {error}.") from None
    return parse_snapshot(data)


def parse_snapshot(data: Any) -> Snapshot:
    try:
        number = data["number"]
        if type(number) is not int or number < 1:
            raise SnapshotError("The snapshot has no number.")
        endpoints = tuple(_endpoint(each) for each in data["endpoints"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SnapshotError(f"The snapshot is malformed: {error!r}.") from None
    _refuse_doubles(endpoints)
    return Snapshot(number, endpoints)


def _endpoint(data: Mapping[str, Any]) -> EndpointSpec:
    capture, limits = data.get("capture") or {}, data.get("limits") or {}
    columns = {str(name): str(policy) for name, policy in (capture.get("columns") or {}).items()}
    if wrong := sorted(set(columns.values()) - set(POLICIES)):
        raise SnapshotError(f"There is no capture policy called {wrong[0]}.")
    return EndpointSpec(
        uuid=_name(data["uuid"]),
        path=str(data["path"]).strip("/"),
        keys={str(key["digest"]): _end(key.get("expires_at")) for key in data["keys"]},
        releases=tuple(_release(each) for each in data["releases"]),
        sticky=str(data.get("sticky") or ""),
        key_columns=tuple(str(name) for name in data.get("key_columns") or ()),
        capture=Capture(bool(capture.get("is_on", True)), float(capture.get("sample", 1)), columns),
        limits=Limits(
            rows=int(limits.get("rows", Limits.rows)),
            body_bytes=int(limits.get("body_bytes", Limits.body_bytes)),
            queue=int(limits.get("queue", Limits.queue)),
            deadline_seconds=float(limits.get("deadline_seconds", Limits.deadline_seconds)),
        ),
    )


def _end(value: float | None) -> float:
    return float("inf") if value is None else float(value)


def _name(value: Any) -> str:
    """A uuid: it becomes a folder's name, so nothing else will do."""
    text = str(value)
    if not text or not text.replace("-", "").isalnum():
        raise SnapshotError(f"{text!r} is no uuid.")
    return text


def _release(data: Mapping[str, Any]) -> ReleaseSpec:
    weight = data["weight"]
    if type(weight) is not int or not 0 <= weight <= 100:
        raise SnapshotError(f"The weight of {data['slug']} must be a whole percentage.")
    package = str(data["package"])
    if not os.path.isabs(package):
        raise SnapshotError(f"The package of {data['slug']} has no absolute path.")
    return ReleaseSpec(
        _name(data["uuid"]), str(data["slug"]), str(data["version"]), package, weight
    )


def _refuse_doubles(endpoints: tuple[EndpointSpec, ...]) -> None:
    paths = [each.path for each in endpoints]
    if len(set(paths)) < len(paths):
        raise SnapshotError("Two endpoints have the same address.")
    for each in endpoints:
        total = sum(release.weight for release in each.releases)
        if total not in (0, 100):
            raise SnapshotError(f"The weights of {each.path} add up to {total}, not to 100.")
        if len({release.slug for release in each.releases}) < len(each.releases):
            raise SnapshotError(f"Two releases of {each.path} have the same name.")
