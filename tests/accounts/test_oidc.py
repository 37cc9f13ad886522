"""Sign-in by OpenID Connect: the real code flow, against a provider of the test's own."""

from collections.abc import Iterator

import pytest
import requests
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.accounts.services import invite_person
from portal.env import OidcProvider
from tests.accounts.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider(settings: Settings) -> Iterator[Provider]:
    provider = Provider()
    entry = {"name": "Test ID", "client_id": CLIENT_ID, "secret": CLIENT_SECRET}
    known = OidcProvider.model_validate({"id": "test", "server_url": provider.url, **entry})
    settings.ENV = settings.ENV.model_copy(update={"oidc_providers": [known]})
    app = {"provider_id": "test", "settings": {"server_url": provider.url}, **entry}
    configured = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {**configured, "APPS": [app]}}
    yield provider
    provider.close()


def sign_in(client: Client, provider: Provider, email: str, **claims: object) -> HttpResponse:
    """What a browser does: to the provider, and back with its code."""
    said = {"sub": email, "email": email, "email_verified": True, "name": "Somebody"}
    provider.claims = {**said, **claims}
    away = client.post("/account/oidc/test/login/")
    assert away.status_code == 302
    back = requests.get(away["Location"], allow_redirects=False, timeout=10)
    path = back.headers["Location"].split("testserver", 1)[1]
    return client.get(path)  # type: ignore[return-value]


def is_in(client: Client) -> bool:
    return client.get("/").status_code == 200


def test_person_with_an_account_is_let_in(client: Client, provider: Provider) -> None:
    person = make_user(email="anna@example.com")
    sign_in(client, provider, "Anna@example.com")
    assert is_in(client)
    assert client.get("/api/v1/me/").json()["uuid"] == str(person.uuid)
    assert "/token" in provider.asked
    again = Client()
    sign_in(again, provider, "Anna@example.com")
    assert is_in(again)
    assert User.objects.count() == 1


def test_invited_person_is_accepted(client: Client, provider: Provider) -> None:
    admin = make_user(is_site_admin=True)
    invitation, _ = invite_person(email="new@example.com", name="New", user=admin)
    sign_in(client, provider, "new@example.com")
    assert is_in(client)
    invitation.refresh_from_db()
    assert invitation.accepted_at


def test_sign_in_page_offers_the_provider(client: Client, provider: Provider) -> None:
    assert "Sign in with Test ID" in client.get("/account/login/").content.decode()


@pytest.mark.parametrize("why", ["uninvited", "unverified", "deactivated", "service"])
def test_others_are_refused_on_a_plain_page(client: Client, provider: Provider, why: str) -> None:
    if why != "uninvited":
        make_user(
            email="x@example.com", is_active=why != "deactivated", is_service=why == "service"
        )
        User.objects.filter(is_active=False).update(deactivated_at="2026-01-01T00:00Z")
    answer = sign_in(client, provider, "x@example.com", email_verified=why != "unverified")
    assert answer.status_code == 403
    assert "Not let in" in answer.content.decode()
    assert not is_in(client)
    assert User.objects.count() == (0 if why == "uninvited" else 1)


def test_site_may_let_the_provider_make_people(
    client: Client, provider: Provider, settings: Settings
) -> None:
    settings.ENV = settings.ENV.model_copy(update={"oidc_create_people": True})
    sign_in(client, provider, "fresh@example.com")
    assert is_in(client)
    assert User.objects.get().email == "fresh@example.com"


@pytest.mark.parametrize("fault", ["state", "issuer", "audience"])
def test_forged_answer_lets_nobody_in(client: Client, provider: Provider, fault: str) -> None:
    make_user(email="anna@example.com")
    provider.faults = {fault}
    answer = sign_in(client, provider, "anna@example.com")
    assert answer.status_code == 401
    assert "did not complete" in answer.content.decode()
    assert not is_in(client)


def test_provider_without_tls_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match="https://"):
        OidcProvider(id="x", name="X", client_id="c", secret="s", server_url="http://id.example")


def test_code_stolen_by_another_browser_is_useless(client: Client, provider: Provider) -> None:
    make_user(email="anna@example.com")
    provider.claims = {"sub": "a", "email": "anna@example.com", "email_verified": True}
    away = client.post("/account/oidc/test/login/")
    back = requests.get(away["Location"], allow_redirects=False, timeout=10)
    thief = Client()
    thief.get(back.headers["Location"].split("testserver", 1)[1])
    assert not is_in(thief)
