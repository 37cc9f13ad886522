"""Who approves what, aliases, and what was live when."""

import datetime as dt
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.events.models import Event
from apps.projects.models import Project, Role
from apps.registry.aliases import aliases_at, remove_alias, set_alias
from apps.registry.approvals import approve, reject
from apps.registry.models import AliasChange, Model, ModelVersion, Verdict
from apps.registry.services import create_model, update_model
from tests.factories import make_member, make_project
from tests.registry.rows import make_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def owner(project: Project) -> User:
    return make_member(project, Role.OWNER)


@pytest.fixture
def model(project: Project, owner: User) -> Model:
    return create_model(project, slug="churn", user=owner)


def with_policy(model: Model, owner: User, **policy: Any) -> Model:
    return update_model(model, policy=policy, user=owner)


def approved(version: ModelVersion, owner: User) -> ModelVersion:
    approve(version, reason="Good.", user=owner)
    version.refresh_from_db()
    return version


def test_approval_keeps_the_policy_and_what_was_found(model: Model, owner: User) -> None:
    gate = {"metric": "test.auc", "at_least": 0.8}
    with_policy(model, owner, gates=[gate])
    version = make_version(model, test_auc=0.84)
    approval = approve(version, reason="  Better than before. ", user=owner)
    version.refresh_from_db()
    assert version.verdict == Verdict.APPROVED
    assert approval.reason == "Better than before."
    assert approval.evidence["policy"] == {"gates": [gate]}
    assert approval.evidence["findings"][0]["value"] == 0.84
    assert Event.objects.filter(verb="model_version.approved").exists()


@pytest.mark.parametrize(
    ("gate", "auc", "is_met"),
    [
        ({"at_least": 0.8}, 0.8, True),
        ({"at_least": 0.8}, 0.79, False),
        ({"at_most": 0.5}, 0.5, True),
        ({"at_most": 0.0}, 0.1, False),
        ({"better_than": "champion"}, 0.81, True),
        ({"better_than": "champion"}, 0.8, False),
        ({"better_than": "champion", "better_is": "lower"}, 0.7, True),
        ({"better_than": "best"}, 0.1, True),
    ],
)
def test_gates_hold_or_name_the_metric(
    model: Model, owner: User, gate: dict[str, Any], auc: float, is_met: bool
) -> None:
    first = approved(make_version(model, test_auc=0.8), owner)
    set_alias(model, name="champion", version=first, user=owner)
    with_policy(model, owner, gates=[{"metric": "test.auc", **gate}])
    version = make_version(model, test_auc=auc)
    if is_met:
        assert approve(version, reason="Yes.", user=owner).verdict == Verdict.APPROVED
        return
    with pytest.raises(Conflict, match=r"test\.auc is"):
        approve(version, reason="Yes.", user=owner)
    version.refresh_from_db()
    assert version.verdict == Verdict.PENDING
    assert not version.approvals.exists()


def test_missing_metric_and_missing_onnx_are_named(model: Model, owner: User) -> None:
    with_policy(model, owner, needs_onnx=True, gates=[{"metric": "test.f1", "at_least": 0}])
    version = make_version(model, engine="native")
    with pytest.raises(Conflict, match=r"no metric test\.f1.*no ONNX form"):
        approve(version, reason="Yes.", user=owner)


def test_nobody_approves_their_own_where_the_policy_says_so(
    project: Project, model: Model, owner: User
) -> None:
    other = make_member(project, Role.OWNER)
    with_policy(model, owner, not_by_author=True)
    registered = make_version(model, user=owner)
    with pytest.raises(PermissionDenied, match="what they made"):
        approve(registered, reason="Mine.", user=owner)
    trained = make_version(model, user=other)
    type(trained.run).objects.filter(pk=trained.run_id).update(created_by=owner)
    with pytest.raises(PermissionDenied):
        approve(trained, reason="My run.", user=owner)
    approve(registered, reason="Looked at it.", user=other)


def test_only_owners_decide_and_only_on_what_is_ready(
    project: Project, model: Model, owner: User
) -> None:
    contributor = make_member(project, Role.CONTRIBUTOR)
    version = make_version(model)
    with pytest.raises(PermissionDenied):
        approve(version, reason="Yes.", user=contributor)
    unready = make_version(model, engine="")
    with pytest.raises(Conflict, match="not ready"):
        approve(unready, reason="Yes.", user=owner)
    with pytest.raises(ValidationError, match="Say why"):
        approve(version, reason=" ", user=owner)


def test_champion_cannot_be_rejected_until_another_is(model: Model, owner: User) -> None:
    first = approved(make_version(model), owner)
    set_alias(model, name="champion", version=first, user=owner)
    with pytest.raises(Conflict, match="is champion"):
        reject(first, reason="Drifts.", user=owner)
    set_alias(model, name="champion", version=approved(make_version(model), owner), user=owner)
    assert reject(first, reason="Drifts.", user=owner).verdict == Verdict.REJECTED
    with pytest.raises(Conflict, match="rejected already"):
        reject(first, reason="Again.", user=owner)


def test_champion_is_approved_and_set_by_owners(
    project: Project, model: Model, owner: User
) -> None:
    contributor = make_member(project, Role.CONTRIBUTOR)
    version = make_version(model)
    with pytest.raises(Conflict, match="not approved"):
        set_alias(model, name="champion", version=version, user=owner)
    approved(version, owner)
    with pytest.raises(PermissionDenied):
        set_alias(model, name="champion", version=version, user=contributor)
    set_alias(model, name="challenger", version=version, user=contributor)


def test_alias_names_a_ready_version_of_the_model(model: Model, owner: User) -> None:
    foreign = make_version(create_model(make_project_of(owner), slug="other", user=owner))
    with pytest.raises(ValidationError, match="another model"):
        set_alias(model, name="best", version=foreign, user=owner)
    with pytest.raises(Conflict, match="not ready"):
        set_alias(model, name="best", version=make_version(model, engine=""), user=owner)
    with pytest.raises(ValidationError):
        set_alias(model, name="Not a slug", version=make_version(model), user=owner)
    with pytest.raises(ValidationError, match="no alias"):
        remove_alias(model, name="best", user=owner)
    assert not AliasChange.objects.exists()


def make_project_of(owner: User) -> Project:
    project = make_project()
    project.members.create(user=owner, role=Role.OWNER)
    return project


def test_history_says_what_was_live_on_a_day(model: Model, owner: User) -> None:
    first, second = make_version(model), make_version(model)
    set_alias(model, name="best", version=first, user=owner)
    set_alias(model, name="best", version=first, user=owner)
    set_alias(model, name="best", version=second, user=owner)
    remove_alias(model, name="best", user=owner)
    assert AliasChange.objects.count() == 3
    days = [timezone.now() - dt.timedelta(days=ago) for ago in (30, 20, 10)]
    for change, day in zip(AliasChange.objects.order_by("id"), days, strict=True):
        AliasChange.objects.filter(pk=change.pk).update(changed_at=day)

    def at(days_ago: int) -> list[ModelVersion]:
        moment = timezone.now() - dt.timedelta(days=days_ago)
        return [each.version for each in aliases_at(model, moment)]

    assert [at(31), at(25), at(15), at(5)] == [[], [first], [second], []]


@pytest.mark.parametrize(
    ("policy", "path"),
    [
        ({"gates": [{"metric": "auc"}]}, "policy.gates.0"),
        ({"gates": [{"metric": "auc", "at_least": 1, "at_most": 2}]}, "policy.gates.0"),
        ({"gates": [{"metric": "auc", "at_least": float("nan")}]}, "policy.gates.0.at_least"),
        ({"gates": [{"metric": "a\0", "at_least": 1}]}, "policy.gates.0.metric"),
        ({"needs_onnx": "perhaps"}, "policy.needs_onnx"),
        ({"colour": "red"}, "policy.colour"),
    ],
)
def test_bad_policy_is_refused_by_its_path(
    model: Model, owner: User, policy: dict[str, Any], path: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        with_policy(model, owner, **policy)
    assert list(caught.value.message_dict) == [path]
    model.refresh_from_db()
    assert model.policy == {}


def test_policy_is_the_owners_to_set(project: Project, model: Model) -> None:
    contributor = make_member(project, Role.CONTRIBUTOR)
    with pytest.raises(PermissionDenied):
        update_model(model, policy={}, user=contributor)
    with pytest.raises(PermissionDenied):
        create_model(project, slug="other", policy={"needs_onnx": True}, user=contributor)
    create_model(project, slug="other", user=contributor)
