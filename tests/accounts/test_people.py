"""Invited, active, site admin, deactivated; by services, pages and REST."""

import pytest
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.utils import timezone

from apps.accounts import services
from apps.accounts.models import Invitation, User
from apps.accounts.tokens import authenticate_token, create_token
from apps.core.errors import Conflict
from apps.events.models import Event
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


def sign_in(client: Client, user: User, password: str = PASSWORD) -> int:
    answer = client.post("/account/login/", {"login": user.email, "password": password})
    return answer.status_code


def test_first_start_makes_one_site_admin_and_only_one() -> None:
    made = services.ensure_site_admin()
    assert made
    admin, password = made
    assert admin.is_site_admin
    assert admin.check_password(password)
    assert services.ensure_site_admin() is None


def test_invitation_from_page_to_first_sign_in(client: Client) -> None:
    admin = make_user(is_site_admin=True, password=PASSWORD)
    sign_in(client, admin)
    page = client.post("/site/people/invite/", {"email": "New@Example.com", "name": "New"})
    link = page.context["link"]
    newcomer = Client()
    path = "/account/invitation/" + link.rstrip("/").rpartition("/")[2] + "/"
    assert newcomer.get(path).status_code == 200
    weak = newcomer.post(path, {"name": "New", "password": "short"})
    assert "password" in weak.context["form"].errors
    assert newcomer.post(path, {"name": "New", "password": PASSWORD}).status_code == 302
    assert newcomer.get("/").status_code == 200
    assert User.objects.get(email="new@example.com").is_active
    assert newcomer.get(path).status_code == 404
    assert Event.objects.filter(verb="person.accepted").count() == 1


def test_invitation_expires_is_renewed_and_revoked() -> None:
    admin = make_user(is_site_admin=True)
    invitation, link = services.invite_person(email="a@example.com", name="A", user=admin)
    text = link.rstrip("/").rpartition("/")[2]
    assert services.find_invitation(text) == invitation
    Invitation.objects.update(expires_at=timezone.now())
    assert services.find_invitation(text) is None
    _, again = services.renew_invitation(invitation.user, user=admin)
    assert services.find_invitation(text) is None
    assert services.find_invitation(again.rstrip("/").rpartition("/")[2])
    services.revoke_invitation(invitation.user, user=admin)
    assert not User.objects.filter(email="a@example.com").exists()


def test_same_person_is_not_invited_twice_whatever_the_case() -> None:
    admin = make_user(is_site_admin=True, email="admin@example.com")
    with pytest.raises(ValidationError, match="account or an invitation already"):
        services.invite_person(email="ADMIN@example.com", name="A", user=admin)


def test_deactivated_person_is_out_everywhere(client: Client) -> None:
    admin, person = make_user(is_site_admin=True), make_user(password=PASSWORD)
    _, text = create_token(person, name="t", scopes=["read"], days=1, created_by=person)
    assert sign_in(client, person) == 302
    assert client.get("/").status_code == 200
    services.deactivate_person(person, user=admin)
    assert client.get("/").status_code == 302
    assert authenticate_token(text) is None
    sign_in(client, person)
    assert client.get("/").status_code == 302
    services.reactivate_person(person, user=admin)
    assert sign_in(client, person) == 302
    assert client.get("/").status_code == 200


def test_there_is_always_a_site_admin() -> None:
    admin, second = make_user(is_site_admin=True), make_user()
    with pytest.raises(Conflict, match="yourself"):
        services.deactivate_person(admin, user=admin)
    with pytest.raises(Conflict, match="last site admin"):
        services.set_site_admin(admin, is_site_admin=False, user=admin)
    services.set_site_admin(second, is_site_admin=True, user=admin)
    services.set_site_admin(admin, is_site_admin=False, user=second)
    with pytest.raises(PermissionDenied):
        services.deactivate_person(second, user=admin)


def test_failures_lock_the_account_from_there_and_say_for_how_long(client: Client) -> None:
    person = make_user(password=PASSWORD)
    statuses = [sign_in(client, person, "wrong") for _ in range(6)]
    assert statuses[:4] == [200] * 4
    assert statuses[-1] == 429
    locked = client.post("/account/login/", {"login": person.email.upper(), "password": PASSWORD})
    assert locked.status_code == 429
    assert "15 minutes" in locked.content.decode()
    elsewhere = Client(REMOTE_ADDR="192.0.2.7")
    assert sign_in(elsewhere, person) == 302


def test_sign_in_link_works_once_for_five_minutes_and_takes_a_button(client: Client) -> None:
    person = make_user()
    path = services.make_sign_in_link(person).removeprefix("http://localhost:8300")
    assert client.get(path).status_code == 200
    assert client.get("/").status_code == 302
    assert client.post(path).status_code == 302
    assert client.get("/").status_code == 200
    assert Client().post(path).status_code == 404


def test_sessions_are_listed_and_the_others_ended(client: Client) -> None:
    person = make_user(password=PASSWORD)
    other = Client()
    sign_in(client, person)
    sign_in(other, person)
    assert len(client.get("/account/sessions/").context["sessions"]) == 2
    client.post("/account/sessions/")
    assert other.get("/").status_code == 302
    assert client.get("/").status_code == 200
    assert Session.objects.count() == 1


def test_password_reset_tells_nobody_who_has_an_account(client: Client, mailoutbox: list) -> None:  # type: ignore[type-arg]
    person = make_user(password=PASSWORD)
    known = client.post("/account/password/reset/", {"email": person.email})
    unknown = client.post("/account/password/reset/", {"email": "nobody@example.com"})
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    [mail] = [each for each in mailoutbox if each.to == [person.email]]
    link = next(word for word in mail.body.split() if "/account/password/reset/key/" in word)
    page = client.get("/" + link.split("/", 3)[3], follow=True)
    new = {"password1": "another fine password", "password2": "another fine password"}
    assert client.post(page.request["PATH_INFO"], new).status_code == 302
    assert sign_in(Client(), person, "another fine password") == 302


def test_service_account_cannot_sign_in(client: Client) -> None:
    robot = make_user(is_service=True, password=PASSWORD)
    sign_in(client, robot)
    assert client.get("/").status_code == 302


@pytest.mark.parametrize("body", [{"email": "no", "name": "A"}, {"email": "a@b.ch", "name": ""}])
def test_invite_form_and_rest_refuse_alike(client: Client, body: dict[str, str]) -> None:
    sign_in(client, make_user(is_site_admin=True, password=PASSWORD))
    page = client.post("/site/people/invite/", body)
    rest = client.post("/api/v1/invitations/", body, content_type="application/json")
    assert rest.status_code == 400
    assert {each["field"] for each in rest.json()["errors"]} == set(page.context["form"].errors)


def test_time_zone_must_exist(client: Client) -> None:
    sign_in(client, make_user(password=PASSWORD))
    rest = client.patch(
        "/api/v1/me/", {"time_zone": "Atlantis/Deep"}, content_type="application/json"
    )
    assert rest.json()["errors"][0]["field"] == "time_zone"
    assert Event.objects.filter(verb="person.updated").count() == 0
