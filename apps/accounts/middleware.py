"""Everything needs a signed-in person unless its path says otherwise: closed by default."""

from collections.abc import Callable

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse

OPEN_PATHS = ("/account/", "/static/", "/healthz", "/readyz", "/favicon.ico")
# REST answers 401 with problem details by itself.
REST_PATH = "/api/"


class SignedInMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        is_open = request.path.startswith((*OPEN_PATHS, REST_PATH))
        if is_open or request.user.is_authenticated:
            return self.get_response(request)
        return redirect_to_login(request.get_full_path())
