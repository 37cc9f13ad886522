"""`Idempotency-Key`: done once, answered alike, and never a lie after a crash."""

import datetime as dt
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from apps.core.idempotency import ABANDONED_AFTER, delete_expired_keys
from apps.core.models import IdempotencyKey
from apps.projects.models import Project
from tests.core.conftest import client_for
from tests.core.threads import run_together
from tests.factories import make_user

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.resources")]
THINGS = "/api/v1/things/"
KEY = {"Idempotency-Key": "one"}
EXPIRED = dt.timedelta(hours=settings.ENV.idempotency_hours, seconds=1)


def age(by: dt.timedelta, **fields: object) -> None:
    IdempotencyKey.objects.update(created_at=timezone.now() - by, **fields)


def test_same_request_again_is_done_once_and_answered_alike(api: APIClient) -> None:
    first = api.post(THINGS, {"slug": "a"}, headers=KEY)
    again = api.post(THINGS, {"slug": "a"}, headers=KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert Project.objects.count() == 1


def test_same_key_with_another_body_is_refused(api: APIClient) -> None:
    api.post(THINGS, {"slug": "a"}, headers=KEY)
    response = api.post(THINGS, {"slug": "b"}, headers=KEY)
    assert response.status_code == 422
    assert "another body" in response.json()["detail"]
    assert Project.objects.count() == 1


def test_another_person_address_or_key_is_another_request(api: APIClient) -> None:
    assert api.post(THINGS, {"slug": "a"}, headers=KEY).status_code == 201
    assert api.post(f"{THINGS}waiting/", {}, headers=KEY).status_code == 200
    other_key = {"Idempotency-Key": "two"}
    assert api.post(THINGS, {"slug": "b"}, headers=other_key).status_code == 201
    assert client_for(make_user()).post(THINGS, {"slug": "c"}, headers=KEY).status_code == 201


@pytest.mark.parametrize("address", [f"{THINGS}half/", f"{THINGS}bug/"])
def test_refused_request_leaves_nothing_and_may_be_sent_again(api: APIClient, address: str) -> None:
    response = api.post(address, {"slug": "a"}, headers=KEY)
    assert response.status_code in (409, 500)
    assert not Project.objects.exists()
    assert not IdempotencyKey.objects.exists()


def test_request_under_way_is_a_conflict_to_come_back_to(api: APIClient) -> None:
    api.post(THINGS, {"slug": "a"}, headers=KEY)
    IdempotencyKey.objects.update(status=0)
    response = api.post(THINGS, {"slug": "a"}, headers=KEY)
    assert response.status_code == 409
    assert response["Retry-After"] == "1"
    assert "under way" in response.json()["detail"]
    assert response.json()["type"] == "urn:portolan:problem:idempotency-under-way"


def test_request_that_died_half_way_is_taken_over(api: APIClient) -> None:
    api.post(THINGS, {"slug": "a"}, headers=KEY)
    Project.objects.all().delete()  # the crash came before the transaction's end
    age(ABANDONED_AFTER + dt.timedelta(seconds=1), status=0)
    assert api.post(THINGS, {"slug": "a"}, headers=KEY).status_code == 201
    assert Project.objects.count() == 1


def test_answer_expires_and_is_swept(api: APIClient) -> None:
    api.post(THINGS, {"slug": "a"}, headers=KEY)
    assert delete_expired_keys() == 0
    age(EXPIRED)
    assert api.post(THINGS, {"slug": "b"}, headers=KEY).status_code == 201
    age(EXPIRED)
    assert delete_expired_keys() == 1


def test_secret_is_neither_kept_nor_shown_twice(api: APIClient) -> None:
    first = api.post(f"{THINGS}secret/", {}, headers=KEY)
    assert first.json() == {"text": "ptl_shown_once"}
    assert "ptl_" not in IdempotencyKey.objects.get().body
    again = api.post(f"{THINGS}secret/", {}, headers=KEY)
    assert again.status_code == 409
    assert "shown only once" in again.json()["detail"]


@pytest.mark.parametrize("key", ["", "a" * 256, "tab\there", "é"])
def test_key_that_cannot_be_one_is_refused(api: APIClient, key: str) -> None:
    response = api.post(THINGS, {"slug": "a"}, headers={"Idempotency-Key": key})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "Idempotency-Key"


@pytest.fixture
def writer(transactional_db: None) -> Iterator[APIClient]:
    yield client_for(make_user())


@pytest.mark.django_db(transaction=True)
def test_action_that_waits_runs_outside_the_transaction(writer: APIClient) -> None:
    assert not connection.in_atomic_block
    response = writer.post(f"{THINGS}waiting/", {}, headers=KEY)
    assert response.json() == {"is_in_transaction": False}


def test_late_request_whose_key_was_taken_over_undoes_itself(api: APIClient) -> None:
    response = api.post(f"{THINGS}overtaken/", {"slug": "a"}, headers=KEY)
    assert response.status_code == 409
    assert "took so long" in response.json()["detail"]
    assert not Project.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_rivals_with_one_key_do_it_once(writer: APIClient) -> None:
    answers = run_together(8, lambda: writer.post(THINGS, {"slug": "a"}, headers=KEY).status_code)
    assert answers.count(201) >= 1
    assert set(answers) <= {201, 409}
    assert Project.objects.count() == 1
