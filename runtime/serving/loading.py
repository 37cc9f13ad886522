"""From a snapshot to a table: load what is new, keep what is loaded, refuse what is not whole."""

import asyncio
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from runtime.encoding import Encoder
from runtime.serving.endpoints import Endpoint, Release
from runtime.serving.native import ModelError, NativePredictor
from runtime.serving.packages import (
    OnnxPredictor,
    Package,
    PackageError,
    check_example,
    check_output,
    read_package,
)
from runtime.serving.problems import Problem
from runtime.serving.router import Table, make_table
from runtime.serving.routes import EndpointSpec, ReleaseSpec, Snapshot, SnapshotError

log = logging.getLogger("portolan.serving")
EXAMPLE_SECONDS = 30.0


@dataclass
class Loader:
    """`failed` maps releases to why they could not be loaded, as of the last snapshot looked at."""

    captures: str
    scratch: str
    environments: str
    failed: dict[str, str] = field(default_factory=dict)

    async def make(self, snapshot: Snapshot, current: Table, *, is_lenient: bool) -> Table:
        """The table of a snapshot; `current` stays as it is.

        A release that has traffic and cannot be loaded refuses the snapshot whole (SnapshotError),
        unless it had traffic in the current one and failed there. Without traffic, it is only told.
        `is_lenient`, after a start: what loads is served, and native models are not waited for.
        """
        releases: dict[str, Release] = {}
        failed: dict[str, str] = {}
        made: list[Release] = []
        for endpoint in snapshot.endpoints:
            for spec in endpoint.releases:
                kept = current.releases.get(spec.uuid)
                if kept and _is_same(kept, spec, endpoint):
                    releases[spec.uuid] = kept
                    continue
                try:
                    release = await self._load(endpoint, spec, is_waiting=not is_lenient)
                except PackageError as error:
                    log.error("release %s of %s: %s", spec.slug, endpoint.path, error)
                    failed[spec.uuid] = str(error)
                    continue
                made.append(release)
                releases[spec.uuid] = release
        self.failed = failed
        if not is_lenient and (refusal := _refusal(snapshot, failed, current)):
            for release in made:
                close(release)
            raise refusal
        endpoints = [Endpoint(spec, releases) for spec in snapshot.endpoints]
        return make_table(snapshot.number, endpoints, releases)

    async def _load(
        self, endpoint: EndpointSpec, spec: ReleaseSpec, *, is_waiting: bool
    ) -> Release:
        loop = asyncio.get_running_loop()
        package = await loop.run_in_executor(None, read_package, spec.package, endpoint.key_columns)
        encoder = Encoder(package.signature)
        folder = os.path.join(self.captures, endpoint.uuid, spec.uuid)
        if package.engine == "onnx":
            predictor = await loop.run_in_executor(None, _load_onnx, package, encoder)
            return Release(spec, package, encoder, predictor, folder, endpoint.path)
        python = os.path.join(self.environments, "train", "bin", "python")
        native = NativePredictor(package, python, self.scratch)
        try:
            await native.start()
            if is_waiting:
                await _check_native(native, package, encoder)
        except (PackageError, OSError) as error:
            native.close()
            raise PackageError(str(error)) from None
        return Release(spec, package, encoder, native, folder, endpoint.path)


def _is_same(release: Release, spec: ReleaseSpec, endpoint: EndpointSpec) -> bool:
    known = {str(each["name"]) for each in release.package.signature.get("keys", ())}
    return (
        release.package.path == spec.package
        and release.slug == spec.slug
        and set(endpoint.key_columns) <= known | set(release.encoder.names)
    )


def _load_onnx(package: Package, encoder: Encoder) -> OnnxPredictor:
    """Loaded, and asked the input example: a model that cannot answer that gets no traffic."""
    predictor = OnnxPredictor(package)
    matrix = check_example(package, encoder)
    try:
        raw = predictor.run(matrix)
    except Exception as error:
        # ONNX Runtime's exceptions share no base class but this.
        raise PackageError(f"The model fails on its input example: {error}") from None
    check_output(package, raw, len(matrix))
    return predictor


async def _check_native(native: NativePredictor, package: Package, encoder: Encoder) -> None:
    await native.wait_ready()
    matrix = check_example(package, encoder)
    try:
        raw = await native.ask(matrix, seconds=EXAMPLE_SECONDS)
    except (Problem, ModelError) as error:
        raise PackageError(f"The model fails on its input example: {error}") from None
    check_output(package, raw, len(matrix))


def _refusal(snapshot: Snapshot, failed: Mapping[str, str], current: Table) -> SnapshotError | None:
    had_traffic = {
        spec.uuid
        for endpoint in current.endpoints.values()
        for spec in endpoint.spec.releases
        if spec.weight
    }
    for endpoint in snapshot.endpoints:
        for spec in endpoint.releases:
            if spec.weight and spec.uuid in failed and spec.uuid not in had_traffic:
                text = f"Release {spec.slug} of {endpoint.path}: {failed[spec.uuid]}"
                return SnapshotError(text, endpoint=endpoint.uuid)
    return None


def close(release: Release) -> None:
    if release.native:
        release.native.close()
