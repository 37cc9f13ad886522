"""Two-factor sign-in, through the pages."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


def code_for(secret: str) -> str:
    """What an authenticator app shows now (RFC 6238)."""
    counter = next(iter(auth.yield_hotp_counters_from_time()))
    return str(auth.format_hotp_value(auth.hotp_value(secret, counter)))


def sign_in(client: Client, user: User) -> str:
    answer = client.post("/account/login/", {"login": user.email, "password": PASSWORD})
    return str(answer["Location"])


def set_up(client: Client) -> str:
    client.post("/account/reauthenticate/", {"password": PASSWORD})
    secret = str(client.get("/account/2fa/totp/activate/").context["form"].secret)
    done = client.post("/account/2fa/totp/activate/", {"code": code_for(secret)})
    assert done.status_code == 302
    return secret


def test_second_factor_is_set_up_and_asked_for(client: Client) -> None:
    person = make_user(password=PASSWORD)
    sign_in(client, person)
    secret = set_up(client)
    seed = Authenticator.objects.get(type="totp").data["secret"]
    assert secret not in seed
    browser = Client()
    assert sign_in(browser, person) == "/account/2fa/authenticate/"
    assert browser.get("/").status_code == 302
    wrong = browser.post("/account/2fa/authenticate/", {"code": "000000"})
    assert wrong.status_code == 200
    Authenticator.objects.filter(type="totp").update(last_used_at=None)
    codes = client.get("/account/2fa/recovery-codes/").context["unused_codes"]
    assert browser.post("/account/2fa/authenticate/", {"code": codes[0]}).status_code == 302
    assert browser.get("/").status_code == 200


def test_site_may_ask_everybody_for_a_second_factor(client: Client, settings: Settings) -> None:
    settings.ENV = settings.ENV.model_copy(update={"require_totp": True})
    person = make_user(password=PASSWORD)
    sign_in(client, person)
    assert client.get("/")["Location"] == "/account/2fa/totp/activate/"
    assert client.get("/api/v1/me/").status_code == 403
    set_up(client)
    assert client.get("/").status_code == 200
