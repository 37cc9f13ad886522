"""Everything needs a signed-in person unless its path says otherwise: closed by default."""

from collections.abc import Callable

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from apps.accounts.models import User
from apps.core.problems import problem_response

SIGN_IN_PATH = "/account/"
OPEN_PATHS = ("/static/", "/healthz", "/readyz", "/favicon.ico")
# REST answers 401 with problem details by itself.
REST_PATH = "/api/"


class SignedInMiddleware:
    """Lets nobody in who is not signed in, and tells times in the zone of who is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path, user = request.path, request.user
        if path.startswith(OPEN_PATHS):
            return self.get_response(request)
        if not user.is_authenticated:
            is_open = path.startswith((SIGN_IN_PATH, REST_PATH))
            return self.get_response(request) if is_open else _ask(request)
        if not path.startswith(SIGN_IN_PATH) and _lacks_second_factor(user):
            return _ask_for_second_factor(request)
        with timezone.override(user.time_zone):
            return self.get_response(request)


def _ask(request: HttpRequest) -> HttpResponse:
    if request.headers.get("HX-Request"):
        # A live part must not be replaced by a sign-in page: the page's script reloads it whole.
        return HttpResponse(status=401)
    return redirect_to_login(request.get_full_path())


def _lacks_second_factor(user: User) -> bool:
    """Whether the site asks for a second factor that this signed-in person has not set up."""
    return settings.ENV.require_totp and not is_mfa_enabled(user)


def _ask_for_second_factor(request: HttpRequest) -> HttpResponse:
    if request.path.startswith(REST_PATH):
        return problem_response(request, 403, "Set up two-factor sign-in in the browser first.")
    return redirect("mfa_activate_totp")
