"""Pages that say what went wrong, whose fault it is and what to do next.

They are drawn without the database, the session and the context processors: what broke may be one
of these.
"""

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.utils.http import url_has_allowed_host_and_scheme

from apps.core.context import theme_of
from apps.core.requests import current_request_id


def error_page(
    request: HttpRequest, code: int, said: str = "", *, template: str = ""
) -> HttpResponse:
    """The page of `code`. `said` is our own sentence for it, where there is one to tell."""
    context = {
        "code": code,
        "said": said,
        "theme": theme_of(request),
        "request_id": current_request_id(),
        "back": _page_before(request),
    }
    drawn = loader.get_template(template or f"{code}.html").render(context)
    return HttpResponse(drawn, status=code)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django logs the reason; people are told what to do."""
    return error_page(request, 403, template="403_csrf.html")


def _page_before(request: HttpRequest) -> str:
    """The page that led here, if it is another one of ours."""
    before = request.headers.get("Referer", "")
    if request.method == "GET" and before.endswith(request.get_full_path()):
        return ""
    try:
        host = request.get_host()
    except SuspiciousOperation:
        return ""
    is_ours = url_has_allowed_host_and_scheme(before, {host}, require_https=request.is_secure())
    return before if is_ours else ""
