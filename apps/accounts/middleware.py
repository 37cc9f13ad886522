"""Everything needs a signed-in person unless its path says otherwise: closed by default."""

from collections.abc import Callable

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

SIGN_IN_PATH = "/account/"
OPEN_PATHS = ("/static/", "/healthz", "/readyz", "/favicon.ico")
# REST answers 401 with problem details by itself.
REST_PATH = "/api/"


class SignedInMiddleware:
    """Lets nobody in who is not signed in, and tells times in the zone of who is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith((*OPEN_PATHS, REST_PATH)):
            return self.get_response(request)
        if request.user.is_authenticated:
            with timezone.override(request.user.time_zone):
                return self.get_response(request)
        if request.path.startswith(SIGN_IN_PATH):
            return self.get_response(request)
        return redirect_to_login(request.get_full_path())
