"""Every error over REST is an RFC 9457 problem, and says what to do."""

import logging
from typing import Any

import pytest
from django.test import Client, override_settings
from rest_framework.test import APIClient

from apps.accounts.models import User
from tests.core.conftest import client_for
from tests.factories import make_project

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.resources")]
THINGS = "/api/v1/things/"


def check_problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert list(body) == ["type", "title", "status", "detail", "instance", "request_id", "errors"]
    assert (body["status"], body["request_id"]) == (status, response["X-Request-Id"])
    assert body["detail"]
    return body


def test_wrong_field_is_told_at_its_field(api: APIClient) -> None:
    body = check_problem(api.post(THINGS, {"slug": "a" * 21, "colour": "red"}), 400)
    assert body["errors"] == [
        {
            "field": "colour",
            "message": "There is no such field to set. Fields: name, slug.",
            "code": "unknown",
        }
    ]
    body = check_problem(api.post(THINGS, {"slug": "a" * 21}), 400)
    assert [(each["field"], each["code"]) for each in body["errors"]] == [("slug", "max_length")]


def test_services_errors_reach_their_fields(api: APIClient) -> None:
    body = check_problem(api.post(f"{THINGS}refused/"), 400)
    assert [(each["field"], each["message"]) for each in body["errors"]] == [
        ("name", "It is taken."),
        ("non_field_errors", "Nothing fits."),
    ]


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b'{"slug": NaN}',
        b'{"slug": "a", "slug": "b"}',
        b'{"slug": 1e999}',
        b'{"slug": "\\ud800"}',
        b'{"slug": "\\u0000"}',
        b'"\xff"',
        b"[" * 100_000,
        b"[1" + b"0" * 5000 + b"]",
    ],
)
def test_what_is_not_our_json_is_refused(api: APIClient, raw: bytes) -> None:
    body = check_problem(api.post(THINGS, raw, content_type="application/json"), 400)
    assert body["detail"].startswith("The body")


@pytest.mark.parametrize("raw", [b"[]", b"null", b"7", b'"a"', b""])
def test_body_that_is_no_object_is_refused(api: APIClient, raw: bytes) -> None:
    check_problem(api.post(THINGS, raw, content_type="application/json"), 400)


def test_escaped_backslash_is_no_null_character(api: APIClient) -> None:
    raw = b'{"slug": "a", "name": "\\\\u0000 \\u00e9"}'
    response = api.post(THINGS, raw, content_type="application/json")
    assert response.json()["name"] == "\\u0000 é"


def test_body_over_one_megabyte_is_refused(api: APIClient) -> None:
    check_problem(api.post(THINGS, {"slug": "a" * 1024 * 1024}), 413)


def test_form_is_no_media_type_of_ours(api: APIClient) -> None:
    check_problem(api.post(THINGS, {"slug": "a"}, format="multipart"), 415)


def test_method_not_taken_names_those_that_are(api: APIClient) -> None:
    response = api.put(THINGS, {})
    check_problem(response, 405)
    assert set(response["Allow"].split(", ")) >= {"GET", "POST"}


def test_answer_is_json_or_nothing(api: APIClient) -> None:
    check_problem(api.get(THINGS, HTTP_ACCEPT="text/html"), 406)


@pytest.mark.parametrize("address", [f"{THINGS}none/", "/api/v1/nothing/", "/api/x", "/api/"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_unknown_address_is_a_problem_too(api: APIClient, address: str, method: str) -> None:
    expected = 405 if (method, address) == ("post", f"{THINGS}none/") else 404
    check_problem(getattr(api, method)(address), expected)


def test_nobody_is_told_to_sign_in() -> None:
    response = APIClient().get(THINGS)
    assert "Sign in" in check_problem(response, 401)["detail"]
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_wrong_token_is_refused() -> None:
    response = APIClient().get(THINGS, HTTP_AUTHORIZATION="Bearer ptl_wrong")
    check_problem(response, 401)
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_token_does_only_what_its_scopes_say(person: User) -> None:
    reader = client_for(person, "read")
    assert reader.get(THINGS).status_code == 200
    assert "projects:write" in check_problem(reader.post(THINGS, {"slug": "a"}), 403)["detail"]
    assert "jobs:write" in check_problem(reader.get(f"{THINGS}odd/"), 403)["detail"]
    writer = client_for(person, "projects:write")
    assert writer.post(THINGS, {"slug": "a"}).status_code == 201
    assert "read" in check_problem(writer.get(THINGS), 403)["detail"]


def test_session_needs_its_csrf_token(person: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(person, "allauth.account.auth_backends.AuthenticationBackend")
    assert browser.get(THINGS).status_code == 200
    response = browser.post(THINGS, {"slug": "a"}, content_type="application/json")
    assert "CSRF" in check_problem(response, 403)["detail"]
    secret = "a" * 32
    browser.cookies["portolan_csrf"] = secret
    headers = {"X-CSRFToken": secret}
    body = {"slug": "a"}
    response = browser.post(THINGS, body, content_type="application/json", headers=headers)
    assert response.status_code == 201


@override_settings(DEBUG_PROPAGATE_EXCEPTIONS=False)
def test_bug_is_logged_once_and_tells_nothing(
    api: APIClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response = api.post(f"{THINGS}bug/", headers={"X-Request-Id": "the-failing-one"})
    body = check_problem(response, 500)
    assert "hunter2" not in response.content.decode()
    assert body["request_id"] == "the-failing-one"
    assert [record.name for record in caplog.records] == ["django.request"]
    assert caplog.records[0].exc_info is not None


def test_unknown_query_parameter_is_refused(api: APIClient) -> None:
    body = check_problem(api.get(THINGS, {"fliter": "name = a"}), 400)
    assert body["errors"][0]["field"] == "fliter"
    assert "cursor, filter, size" in body["errors"][0]["message"]
    assert api.get(f"{THINGS}odd/", {"colour": "red"}).status_code == 200
    check_problem(api.get(f"{THINGS}odd/", {"size": "1"}), 400)


def test_body_for_a_verb_that_takes_none_is_refused(api: APIClient) -> None:
    body = check_problem(api.post(f"{THINGS}refused/", {"force": True}), 400)
    assert body["detail"] == "This takes no body. Send none."


def test_unreadable_requests_are_problems(api: APIClient) -> None:
    make_project(slug="a")
    check_problem(api.get(THINGS, HTTP_HOST="evil.example"), 400)


@pytest.mark.parametrize(
    "body", [{"slug": 7}, {"slug": True}, {"slug": ["a"]}, {"slug": "a", "name": None}]
)
def test_value_of_another_json_type_is_refused(api: APIClient, body: dict[str, object]) -> None:
    problem = check_problem(api.post(THINGS, body), 400)
    assert problem["errors"][0]["field"] == list(body)[-1]
