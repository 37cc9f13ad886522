"""The errors a service may raise beside Django's ValidationError, PermissionDenied and Http404."""

from django.http import Http404


class Conflict(Exception):
    """The request is well formed, but the thing's present state refuses it: HTTP 409.

    `message` is shown to the user as it is: it says what is in the way and what to do next.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotHere(Http404):
    """HTTP 404 that says what is not there. `message` is shown, so it is the same whether the
    thing is missing or hidden from whoever asks."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
