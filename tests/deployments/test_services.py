"""What endpoints, releases, weights and keys refuse, and who may do what."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.deployments.models import Endpoint, RouteChange
from apps.deployments.routing import build_snapshot, roll_back, set_weights
from apps.deployments.services import (
    create_endpoint,
    create_key,
    create_release,
    revoke_key,
    update_endpoint,
)
from apps.projects.models import Project, Role
from apps.projects.services import set_archived
from apps.registry.models import Model, Verdict
from tests.deployments.rows import make_endpoint, make_release, make_released_version
from tests.factories import make_member, make_project
from tests.registry.rows import make_version


@pytest.fixture
def endpoint(project: Project, owner: User) -> Endpoint:
    endpoint = make_endpoint(project, owner)
    make_release(endpoint, owner, "one", None)
    make_release(endpoint, owner, "two", None)
    return endpoint


def said(refused: pytest.ExceptionInfo[ValidationError]) -> dict[str, str]:
    return {name: " ".join(texts) for name, texts in refused.value.message_dict.items()}


@pytest.mark.parametrize(
    ("definition", "field", "says"),
    [
        ({}, "definition.model", "needed"),
        ({"model": "none"}, "definition.model", "has no model “none”"),
        ({"model": "churn", "colour": 1}, "definition.colour", "no such field"),
        ({"model": "churn", "capture": {"sample": 2}}, "definition.capture.sample", "less than"),
        (
            {"model": "churn", "capture": {"columns": {"a": "sell"}}},
            "definition.capture.columns.a",
            "keep",
        ),
        ({"model": "churn", "limits": {"rows": 0}}, "definition.limits.rows", "greater"),
        ({"model": "churn", "keys": ["a", "a"]}, "definition.keys", "named twice"),
        ([], "definition", "object"),
    ],
)
def test_definition_is_checked_by_field(
    project: Project, owner: User, definition: Any, field: str, says: str
) -> None:
    Model.objects.create(project=project, slug="churn")
    with pytest.raises(ValidationError) as refused:
        create_endpoint(project, slug="live", definition=definition, user=owner)
    assert says in said(refused)[field]
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize("slug", ["", "No", "a b", "x" * 49, "live"])
def test_bad_and_taken_slugs_are_refused(endpoint: Endpoint, owner: User, slug: str) -> None:
    with pytest.raises(ValidationError):
        make_endpoint(endpoint.project, owner, slug)


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ({"one": 90}, "add up to 90"),
        ({"one": 90, "two": 20}, "add up to 110"),
        ({"one": 90, "three": 10}, "no release “three”"),
        ({"one": -10, "two": 110}, "0 to 100"),
        ({"one": 99.5, "two": 0.5}, "whole number"),
        ({"one": True, "two": 99}, "whole number"),
    ],
)
def test_weights_that_do_not_hold_are_refused_whole(
    endpoint: Endpoint, owner: User, weights: Any, says: str
) -> None:
    before = RouteChange.objects.count()
    with pytest.raises(ValidationError) as refused:
        set_weights(endpoint, weights=weights, user=owner)
    assert says in said(refused)["weights"]
    assert RouteChange.objects.count() == before
    assert not endpoint.releases.filter(weight__gt=0).exists()


@pytest.mark.parametrize("verdict", [Verdict.PENDING, Verdict.REJECTED])
def test_version_that_is_not_approved_is_not_released(
    endpoint: Endpoint, owner: User, verdict: Verdict
) -> None:
    version = make_released_version(endpoint.project, verdict=verdict)
    with pytest.raises(ValidationError, match="not approved"):
        create_release(endpoint, version=version, slug="three", user=owner)


def test_version_rejected_since_gets_no_traffic(endpoint: Endpoint, owner: User) -> None:
    version = endpoint.releases.get(slug="one").version
    version.verdict = Verdict.REJECTED
    version.save()
    with pytest.raises(ValidationError, match="not approved any more"):
        set_weights(endpoint, weights={"one": 100}, user=owner)


def test_version_of_another_model_is_not_released(endpoint: Endpoint, owner: User) -> None:
    other = Model.objects.create(project=endpoint.project, slug="other")
    with pytest.raises(ValidationError, match="no version of churn"):
        create_release(endpoint, version=make_version(other), slug="three", user=owner)
    with pytest.raises(ValidationError, match="Make another endpoint"):
        update_endpoint(endpoint, definition={"model": "other"}, user=owner)


def test_contributors_release_and_owners_make_keys(endpoint: Endpoint) -> None:
    viewer = make_member(endpoint.project, Role.VIEWER)
    contributor = make_member(endpoint.project, Role.CONTRIBUTOR)
    set_weights(endpoint, weights={"one": 100}, user=contributor)
    with pytest.raises(PermissionDenied):
        set_weights(endpoint, weights={"two": 100}, user=viewer)
    with pytest.raises(PermissionDenied):
        create_key(endpoint, name="k", user=contributor)


def test_nothing_to_roll_back_to_is_said(endpoint: Endpoint, owner: User) -> None:
    with pytest.raises(Conflict, match="nothing to go back to"):
        roll_back(endpoint, user=owner)
    set_weights(endpoint, weights={"one": 100}, user=owner)
    with pytest.raises(Conflict, match="nothing to go back to"):
        roll_back(endpoint, user=owner)


def test_archived_project_changes_no_route(endpoint: Endpoint, owner: User) -> None:
    set_archived(endpoint.project, is_archived=True, user=owner)
    with pytest.raises(Conflict, match="archived"):
        set_weights(endpoint, weights={"one": 100}, user=owner)


def test_snapshot_holds_every_endpoint_and_no_key_itself(endpoint: Endpoint, owner: User) -> None:
    elsewhere = make_project(slug="elsewhere")
    make_endpoint(elsewhere, make_member(elsewhere, Role.OWNER), "theirs")
    key, text = create_key(endpoint, name="k", days=1, user=owner)
    gone, _ = create_key(endpoint, name="gone", user=owner)
    revoke_key(gone, user=owner)
    snapshot = build_snapshot(endpoint.target, number=7)
    assert [each["path"] for each in snapshot["endpoints"]] == ["churn/live", "elsewhere/theirs"]
    (told,) = snapshot["endpoints"][0]["keys"]
    assert told["digest"] == key.digest
    assert key.expires_at
    assert told["expires_at"] == int(key.expires_at.timestamp())
    assert text not in str(snapshot)


def test_numbers_only_grow(endpoint: Endpoint, owner: User) -> None:
    for _ in range(3):
        set_weights(endpoint, weights={"one": 100}, user=owner)
    numbers = list(RouteChange.objects.order_by("id").values_list("number", flat=True))
    assert numbers == sorted(set(numbers))


def test_people_are_not_shown_other_projects_routes(endpoint: Endpoint) -> None:
    job = RouteChange.objects.filter(endpoint=endpoint).latest("number").job
    assert "snapshot" in job.spec
    assert "snapshot" not in job.shown_spec
