"""What people see when something is wrong, with nothing to lean on but the request."""

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import include, path

from apps.core import problems
from apps.core.errors import Conflict
from tests.factories import make_user

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def refuse(request: HttpRequest) -> HttpResponse:
    raise Conflict("The <em>tide</em> is out. Wait for it.")


def forbid(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied("Only an owner may do this.")


def crash(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError("secret detail")


handler400 = problems.bad_request
handler403 = problems.permission_denied
handler404 = problems.page_not_found
handler500 = problems.server_error
urlpatterns = [
    path("account/refuse/", refuse),
    path("account/forbid/", forbid),
    path("account/crash/", crash),
    path("", include("portal.urls")),
]
here = override_settings(ROOT_URLCONF=__name__)


@pytest.fixture
def client() -> Client:
    """Without a database: none of these pages may need one."""
    return Client(raise_request_exception=False)


@here
@pytest.mark.parametrize(
    ("address", "status", "says"),
    [
        ("/account/refuse/", 409, "The &lt;em&gt;tide&lt;/em&gt; is out."),
        ("/account/forbid/", 403, "Only an owner may do this."),
        ("/account/crash/", 500, "not your fault"),
        ("/account/nowhere/", 404, "There is nothing here"),
    ],
)
def test_error_page_says_what_whose_and_what_next(
    client: Client, address: str, status: int, says: str
) -> None:
    answer = client.get(address, headers={"X-Request-Id": "request-1234"})
    text = answer.content.decode()
    assert answer.status_code == status
    assert says in text
    assert "request-1234" in text
    assert "secret detail" not in text


@here
def test_error_page_keeps_the_theme_and_leads_back(client: Client) -> None:
    client.cookies["portolan_theme"] = "dark"
    headers = {"Referer": "http://testserver/p/x/"}
    text = client.get("/account/refuse/", headers=headers).content.decode()
    assert 'data-theme="dark"' in text
    assert 'href="http://testserver/p/x/"' in text


@here
@pytest.mark.parametrize("referer", ["https://elsewhere.example/", "javascript:alert(1)", ""])
def test_error_page_leads_back_to_no_other_site(client: Client, referer: str) -> None:
    text = client.get("/account/refuse/", headers={"Referer": referer}).content.decode()
    assert ">Go back</a>" not in text


def test_form_without_its_token_is_explained() -> None:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    answer = client.post("/account/login/", {"login": "a@example.com"})
    assert answer.status_code == 403
    assert "The form has expired" in answer.content.decode()


def test_garbled_cursor_says_how_to_go_on(db: None) -> None:
    client = Client()
    client.force_login(make_user(), backend=BACKEND)
    answer = client.get("/", {"cursor": "not-ours"})
    assert answer.status_code == 400
    assert "Begin again without it" in answer.content.decode()


def test_messages_are_notes_on_the_next_page(db: None) -> None:
    client = Client()
    client.force_login(make_user(), backend=BACKEND)
    answer = client.post("/me/", {"name": "Mira", "time_zone": "UTC"}, follow=True)
    assert "<div>Saved.</div>" in answer.content.decode()
    assert "<div>Saved.</div>" not in client.get("/me/").content.decode()
