"""Targets: paused, resumed, looked at; questions to them."""

from pathlib import Path

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.utils import timezone

from apps.events.models import Event
from apps.jobs import asking
from apps.jobs.models import Job
from apps.targets import services
from apps.targets.models import Desired, Observed, Target
from tests.factories import make_user
from tests.jobs.conftest import folder, ledger
from workers.tasks import advance, reconcile

__all__ = ["folder", "ledger"]
pytestmark = pytest.mark.django_db


def look(target: Target) -> Target:
    reconcile(target.pk)
    target.refresh_from_db()
    return target


def test_what_is_seen_is_written_and_told_only_when_it_changes(
    ledger: Target, folder: Path
) -> None:
    for _ in range(2):
        assert look(ledger).observed == Observed.READY
    assert ledger.facts == {"folder": str(folder)}
    (folder / "down").touch()
    for _ in range(2):
        assert look(ledger).observed == Observed.UNREACHABLE
    assert ledger.message == "The ledger does not answer."
    [event] = Event.objects.filter(verb="target.observed")
    assert (event.before, event.after["observed"]) == ({"observed": "ready"}, "unreachable")


def test_due_target_is_checked_by_one_worker(ledger: Target) -> None:
    Target.objects.update(next_check_at=timezone.now())
    assert services.claim_check(ledger.pk)
    assert services.claim_check(ledger.pk) is None


def test_only_a_site_admin_pauses_and_it_is_told(client: Client) -> None:
    target, admin = services.get_local_target(), make_user(is_site_admin=True)
    with pytest.raises(PermissionDenied):
        services.set_desired(target, desired=Desired.PAUSED, user=make_user())
    client.force_login(admin, backend="allauth.account.auth_backends.AuthenticationBackend")
    for _ in range(2):
        assert client.post("/targets/local/change/", {"desired": "paused"}).status_code == 302
    assert client.get("/api/v1/targets/local/").json()["desired"] == "paused"
    resumed = client.post("/api/v1/targets/local/resume/", content_type="application/json")
    assert resumed.json()["desired"] == "active"
    verbs = Event.objects.filter(object_kind="target").values_list("verb", flat=True)
    assert sorted(verbs) == ["target.paused", "target.resumed"]


def test_question_without_an_answer_is_called_off_in_plain_words(ledger: Target) -> None:
    with pytest.raises(asking.NoAnswer, match=r"did not answer within 0\.3 seconds"):
        asking.ask("probe", spec={"topics": ["a"]}, target=ledger, user=make_user(), deadline=0.3)
    job = Job.objects.get()
    assert job.is_ephemeral
    assert job.cancel_requested_at
    advance([str(job.pk)])
    job.refresh_from_db()
    assert job.state == "cancelled"


def test_question_to_no_target_is_refused() -> None:
    with pytest.raises(ValidationError, match="no such target"):
        asking.probe_target("nowhere", user=make_user())
