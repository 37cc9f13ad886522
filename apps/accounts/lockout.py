"""What django-axes needs to know: whose failure it was, and what the locked-out are told."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def username_of(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """The address that was typed, in one spelling, so that capitals buy no further tries."""
    given = credentials or {}
    typed = given.get("email") or given.get("username") or request.POST.get("login") or ""
    return str(typed).strip().lower()


def address_of(request: HttpRequest) -> str:
    """The client's address; behind our proxy, the one the proxy saw."""
    seen = str(request.META.get("REMOTE_ADDR", ""))
    if not settings.ENV.behind_proxy:
        return seen
    return request.headers.get("X-Forwarded-For", seen).rpartition(",")[2].strip()


def locked_out(request: HttpRequest, credentials: Any, *_: Any, **__: Any) -> HttpResponse:
    minutes = settings.ENV.sign_in_lock_minutes
    answer = render(request, "accounts/locked.html", {"minutes": minutes}, status=429)
    answer["Retry-After"] = str(minutes * 60)
    return answer
