"""Typed requests, and the id that follows one through logs, events and error bodies."""

from contextvars import ContextVar
from typing import TYPE_CHECKING

from django.http import HttpRequest

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails

    from apps.accounts.models import User

_request_id: ContextVar[str] = ContextVar("request_id", default="-")


def current_request_id() -> str:
    """The id of the request (or job step) this thread is serving, `-` outside one."""
    return _request_id.get()


def set_request_id(value: str) -> None:
    _request_id.set(value)


class SignedIn(HttpRequest):
    """A request behind `SignedInMiddleware`: its user is a real, active one."""

    user: "User"
    htmx: "HtmxDetails"
