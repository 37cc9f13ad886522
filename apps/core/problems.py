"""Errors over REST: RFC 9457 problem details, whatever went wrong and wherever.

`errors` lists what is wrong field by field; `request_id` finds the request in the log.
"""

import http
import math
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from apps.core import error_pages
from apps.core.errors import Conflict, NotHere
from apps.core.listing import BadCursor, BadSize
from apps.core.requests import current_request_id

CONTENT_TYPE = "application/problem+json"
WHOLE = "non_field_errors"
NOT_FOUND = "There is nothing here that you may see. Check the address and your role."
SIGN_IN = "Sign in, or send a token: “Authorization: Bearer ptl_…”."
TAKEN = "There is already one of this slug here. Choose another."
GARBLED = "The request cannot be read. Check its address, headers and body."
BROKEN = "Something broke on our side, and it has been logged. Give a site admin the request id."
REST_PATH = "/api/"


def problem(
    code: int, detail: str, *, path: str, kind: str = "", errors: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    """The body of a problem answer."""
    title = http.HTTPStatus(code).phrase
    return {
        "type": f"urn:portolan:problem:{kind or title.lower().replace(' ', '-')}",
        "title": title,
        "status": code,
        "detail": detail,
        "instance": path,
        "request_id": current_request_id(),
        "errors": errors or [],
    }


def problem_response(request: HttpRequest, code: int, detail: str) -> JsonResponse:
    """A problem answer outside DRF: unknown addresses, bugs."""
    body = problem(code, detail, path=request.path)
    return JsonResponse(body, status=code, content_type=CONTENT_TYPE)


@csrf_exempt
def no_such_address(request: HttpRequest) -> HttpResponse:
    """Whatever under /api/ is no address of ours."""
    return problem_response(request, 404, "There is no such address. Ours end with a slash.")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """`handler400`: a problem under /api/, a page elsewhere; as do the three below."""
    if request.path.startswith(REST_PATH):
        return problem_response(request, 400, GARBLED)
    said = str(exception) if isinstance(exception, BadCursor | BadSize) else ""
    return error_pages.error_page(request, 400, said)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(REST_PATH):
        return problem_response(request, 403, "You may not do this.")
    return error_pages.error_page(request, 403, str(exception))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(REST_PATH):
        return problem_response(request, 404, NOT_FOUND)
    return error_pages.error_page(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django has logged the bug by now, once."""
    if request.path.startswith(REST_PATH):
        return problem_response(request, 500, BROKEN)
    return error_pages.error_page(request, 500)


def handle(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. None, for what it does not know, means a bug: a 500, logged."""
    known = _as_api_exception(exc)
    if known is None:
        return None
    set_rollback()
    errors = list(_field_errors(known.detail)) if isinstance(known.detail, dict | list) else []
    detail = str(known.detail) if not errors else _summary(errors)
    path = context["request"].path
    body = problem(known.status_code, detail, path=path, kind=_kind(known), errors=errors)
    response = Response(body, status=known.status_code, content_type=CONTENT_TYPE)
    if header := getattr(known, "auth_header", None):
        response["WWW-Authenticate"] = header
    if (wait := getattr(known, "wait", None)) is not None:
        response["Retry-After"] = str(max(1, math.ceil(wait)))
    return response


class _ConflictException(exceptions.APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class _TooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is larger than 1 MB. Send less at once."
    default_code = "content_too_large"


def _as_api_exception(exc: Exception) -> exceptions.APIException | None:
    if isinstance(exc, exceptions.NotAuthenticated):
        exc.detail = exceptions.ErrorDetail(SIGN_IN, exc.default_code)
    if isinstance(exc, exceptions.APIException):
        return exc
    if isinstance(exc, DjangoValidationError):
        return exceptions.ValidationError(_django_details(exc))
    if isinstance(exc, BadCursor | BadSize):
        field = "cursor" if isinstance(exc, BadCursor) else "size"
        return exceptions.ValidationError({field: [str(exc)]})
    if isinstance(exc, Http404):
        return exceptions.NotFound(exc.message if isinstance(exc, NotHere) else NOT_FOUND)
    if isinstance(exc, PermissionDenied):
        return exceptions.PermissionDenied(str(exc) or None)
    if isinstance(exc, Conflict):
        return _ConflictException(exc.message)
    if isinstance(exc, RequestDataTooBig):
        return _TooLarge()
    is_garbled = isinstance(exc, BadRequest | SuspiciousOperation | MultiPartParserError)
    return exceptions.ParseError(GARBLED) if is_garbled else None


def _django_details(exc: DjangoValidationError) -> dict[str, list[str]]:
    if not hasattr(exc, "error_dict"):
        return {WHOLE: exc.messages}
    found: dict[str, list[str]] = {}
    for name, errors in exc.error_dict.items():
        for error in errors:
            # Django says which fields together, but as nobody's fault: it is always the slug's.
            together = (error.params or {}).get("unique_check", ())
            if error.code == "unique_together" and "slug" in together:
                found.setdefault("slug", []).append(TAKEN)
            else:
                found.setdefault(WHOLE if name == "__all__" else name, []).extend(error.messages)
    return found


def _field_errors(detail: Any, field: str = "") -> Iterator[dict[str, str]]:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _field_errors(inner, f"{field}.{name}" if field else str(name))
    elif isinstance(detail, list):
        for number, inner in enumerate(detail):
            is_nested = isinstance(inner, dict) and bool(inner)
            yield from _field_errors(inner, f"{field}.{number}" if is_nested else field)
    else:
        code = getattr(detail, "code", "invalid")
        yield {"field": field or WHOLE, "message": str(detail), "code": str(code)}


def _summary(errors: list[dict[str, str]]) -> str:
    first = errors[0]
    where = "" if first["field"] == WHOLE else f"{first['field']}: "
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{where}{first['message']}{more}"


def _kind(exc: exceptions.APIException) -> str:
    """The problem's own name, where a program must tell it from others of its status."""
    if exc.status_code == status.HTTP_400_BAD_REQUEST:
        return "validation"
    code = str(exc.default_code)
    return code.replace("_", "-") if code.startswith("idempotency") else ""
