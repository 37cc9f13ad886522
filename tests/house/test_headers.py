"""What every answer says of itself to browsers."""

import pytest
from django.test import Client

from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db
PAGES = ["/", "/activity/", "/me/", "/api/v1/docs/", "/no/such/page/", "/account/login/"]


@pytest.fixture
def browser(client: Client) -> Client:
    client.force_login(make_user(), backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def policy(client: Client, path: str) -> dict[str, set[str]]:
    header = client.get(path)["Content-Security-Policy"]
    return {name: set(rest) for name, *rest in (part.split() for part in header.split(";"))}


@pytest.mark.parametrize("path", PAGES)
def test_no_inline_script_no_eval_no_foreign_host(browser: Client, path: str) -> None:
    told = policy(browser, path)
    assert told["default-src"] == told["base-uri"] == told["frame-ancestors"] == {"'none'"}
    assert told["script-src"] == told["style-src"] == told["connect-src"] == {"'self'"}
    assert told["form-action"] == {"'self'"}
    for sources in told.values():
        assert sources <= {"'self'", "'none'", "data:"}


@pytest.mark.parametrize("path", [*PAGES, "/api/v1/me/", "/healthz"])
def test_answers_are_not_framed_sniffed_or_referred(browser: Client, path: str) -> None:
    answer = browser.get(path)
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"


def test_form_without_its_token_is_refused_in_words(browser: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = browser.cookies
    answer = strict.post("/projects/new/", {"name": "Atlas"})
    assert answer.status_code == 403
    rest = strict.post("/api/v1/projects/", {"name": "Atlas"}, content_type="application/json")
    assert (rest.status_code, rest["Content-Type"]) == (403, "application/problem+json")


def test_session_cookie_is_for_us_alone(client: Client) -> None:
    person = make_user(password=PASSWORD)
    client.post("/account/login/", {"login": person.email, "password": PASSWORD})
    cookie = client.cookies["portolan_session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
