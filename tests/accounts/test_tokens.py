"""Tokens: made, used, refused."""

import datetime as dt

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import ApiToken, User
from apps.accounts.tokens import authenticate_token, create_token, revoke_token
from apps.events.models import Event
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


def make_token(user: User, **more: object) -> tuple[ApiToken, str]:
    asked = {"name": "ci", "scopes": ["read"], "days": 1, "created_by": user, **more}
    return create_token(user, **asked)  # type: ignore[arg-type]


def test_only_the_digest_is_kept() -> None:
    token, text = make_token(make_user())
    row = ApiToken.objects.filter(pk=token.pk).values().get()
    assert text.startswith("ptl_")
    assert text not in str(row)
    assert text not in str(list(Event.objects.values()))
    assert authenticate_token(text) == token


@pytest.mark.parametrize("what", ["expired", "revoked", "deactivated", "unknown", "garbage"])
def test_dead_token_lets_nobody_in(what: str) -> None:
    user = make_user()
    token, text = make_token(user)
    if what == "expired":
        ApiToken.objects.update(expires_at=timezone.now())
    elif what == "revoked":
        revoke_token(token, user=user)
    elif what == "deactivated":
        User.objects.update(is_active=False)
    else:
        text = "ptl_nothing" if what == "unknown" else "\x00ü"
    assert authenticate_token(text) is None


def test_use_is_noted_without_a_write_for_each(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    token, text = make_token(make_user())
    with django_assert_num_queries(2):
        authenticate_token(text)
    with django_assert_num_queries(1):
        authenticate_token(text)
    token.refresh_from_db()
    assert token.last_used_at
    ApiToken.objects.update(last_used_at=timezone.now() - dt.timedelta(minutes=11))
    with django_assert_num_queries(2):
        authenticate_token(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", " "), ("scopes", []), ("scopes", ["everything"]), ("days", 0), ("days", 367)],
)
def test_wrong_token_is_told_at_its_field(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as error:
        make_token(make_user(), **{field: value})
    assert list(error.value.message_dict) == [field]


def test_strangers_cannot_revoke() -> None:
    token, _ = make_token(make_user())
    with pytest.raises(PermissionDenied):
        revoke_token(token, user=make_user())


def test_token_works_over_rest_and_wrong_ones_are_401(client: Client) -> None:
    user = make_user()
    _, text = make_token(user)
    good = client.get("/api/v1/me/", headers={"Authorization": f"Bearer {text}"})
    assert good.json()["email"] == user.email
    wrong = client.get("/api/v1/me/", headers={"Authorization": "Bearer ptl_wrong"})
    assert (wrong.status_code, wrong["WWW-Authenticate"]) == (401, 'Bearer realm="Portolan"')


def test_page_shows_the_text_once(client: Client) -> None:
    user = make_user(password=PASSWORD)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    page = client.post("/me/tokens/", {"name": "ci", "scopes": ["read"], "days": "1"})
    token = ApiToken.objects.get()
    assert token.prefix in page.content.decode()
    text = page.context["text"]
    assert text in page.content.decode()
    assert text not in client.get("/me/tokens/").content.decode()


@pytest.mark.parametrize("body", [{"name": "", "scopes": ["read"]}, {"name": "x", "scopes": []}])
def test_form_and_rest_refuse_the_same_at_the_same_field(
    client: Client, body: dict[str, object]
) -> None:
    user = make_user()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    page = client.post("/me/tokens/", {**body, "days": 1})
    rest = client.post("/api/v1/tokens/", {**body, "days": 1}, content_type="application/json")
    assert rest.status_code == 400
    assert {each["field"] for each in rest.json()["errors"]} == set(page.context["form"].errors)
    assert not ApiToken.objects.exists()
