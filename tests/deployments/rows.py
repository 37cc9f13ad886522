"""Endpoints for tests: rows, packages on disk, and jobs taken to their end."""

import shutil
from pathlib import Path
from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.accounts.models import User
from apps.deployments.models import Endpoint, Release, RouteChange
from apps.deployments.routing import set_weights
from apps.deployments.services import create_endpoint, create_key, create_release
from apps.jobs.models import Job
from apps.projects.models import Project
from apps.registry.models import Model, ModelVersion, Verdict
from tests.registry.rows import make_version
from tests.servers import wait_until
from workers.tasks import advance


def make_released_version(
    project: Project, package: Path | None = None, *, verdict: Verdict = Verdict.APPROVED
) -> ModelVersion:
    """A version of model `churn`; with a package, that is copied to where its own would lie."""
    model, _ = Model.objects.get_or_create(project=project, slug="churn")
    version = make_version(model)
    version.verdict = verdict
    version.save(update_fields=["verdict"])
    if package:
        shutil.copytree(package, version.path)
    return version


def make_endpoint(project: Project, user: User, slug: str = "live", **more: Any) -> Endpoint:
    Model.objects.get_or_create(project=project, slug="churn")
    definition = {"model": "churn", **more}
    return create_endpoint(project, slug=slug, definition=definition, user=user)


def make_release(endpoint: Endpoint, user: User, slug: str, package: Path | None) -> Release:
    version = make_released_version(endpoint.project, package)
    return create_release(endpoint, version=version, slug=slug, user=user)


def finish(change: RouteChange) -> RouteChange:
    """Take the worker's steps until the change's job has ended."""
    finish_job(change.job_id)
    return RouteChange.objects.select_related("job", "endpoint").get(pk=change.pk)


def finish_job(job_id: UUID) -> None:
    def has_ended() -> bool:
        Job.objects.filter(pk=job_id, finished_at=None).update(next_poll_at=timezone.now())
        advance([str(job_id)])
        return Job.objects.get(pk=job_id).is_final

    wait_until(has_ended, seconds=90, what="the change to be applied or refused")


def finish_all() -> None:
    for job_id in Job.objects.filter(kind="deploy", finished_at=None).values_list("pk", flat=True):
        finish_job(job_id)


def weights_of(endpoint: Endpoint) -> dict[str, int]:
    return dict(endpoint.releases.filter(weight__gt=0).values_list("slug", "weight"))


def make_addressed(project: Project, user: User) -> dict[str, str]:
    """An endpoint with three releases, a key and a history, by the names tests' addresses use."""
    endpoint = make_endpoint(project, user, "deployed")
    first = make_release(endpoint, user, "first", None)
    make_release(endpoint, user, "second", None)
    spare = make_release(endpoint, user, "spare", None)
    set_weights(endpoint, weights={"first": 100}, user=user)
    set_weights(endpoint, weights={"first": 50, "second": 50}, user=user)
    key, _ = create_key(endpoint, name="a client", user=user)
    change = RouteChange.objects.filter(endpoint=endpoint).latest("number")
    return {
        "endpoint": str(endpoint.uuid),
        "release": str(first.uuid),
        "spare_release": str(spare.uuid),
        "releasable_version": str(first.version.uuid),
        "route_change": str(change.uuid),
        "endpoint_key": str(key.uuid),
    }
