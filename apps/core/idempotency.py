"""`Idempotency-Key` on POST: the same key and body twice is done once and answered alike twice.

After the IETF draft "The Idempotency-Key HTTP Header Field". Only answers that succeeded are
kept; a refused request may be put right and sent again under the same key.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.errors import Conflict
from apps.core.models import IdempotencyKey

HEADER = "Idempotency-Key"
MAX_KEY = 255
SHOWN_ONCE = "shown once"


class KeyReused(APIException):
    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_code = "idempotency_key_reused"
    default_detail = (
        "This Idempotency-Key was used for a request with another body. Use a new key for a new "
        "request."
    )


def read_key(request: Request) -> str:
    """The request's key, "" without one. Raise ValidationError when it cannot be one."""
    key = str(request.headers.get(HEADER, ""))
    if len(key) > MAX_KEY or not key.isprintable():
        raise ValidationError({HEADER: f"Use at most {MAX_KEY} printable characters."})
    return key


def run_once(
    request: Request, key: str, handler: Callable[[], Response], *, is_secret: bool
) -> Response:
    """Run the handler and keep its answer, or give back the answer kept under the key.

    `is_secret`: the answer holds something shown once; it is not kept, and asking again is a
    Conflict that says so.
    """
    digest = hashlib.sha256(request._request.body).hexdigest()
    mine: dict[str, Any] = {"user_id": request.user.pk, "key": key, "path": request.path[:500]}
    with transaction.atomic():
        kept = _take(mine, digest)
        if isinstance(kept, Response):
            return kept
        response = handler()
        kept.status = response.status_code
        kept.body = SHOWN_ONCE if is_secret else JSONRenderer().render(response.data).decode()
        kept.save(update_fields=["status", "body"])
    return response


def _take(mine: dict[str, Any], digest: str) -> IdempotencyKey | Response:
    """The key's new row, held until the transaction ends, or the answer of its first use."""
    oldest = timezone.now() - dt.timedelta(hours=settings.ENV.idempotency_hours)
    IdempotencyKey.objects.filter(**mine, created_at__lt=oldest).delete()
    try:
        with transaction.atomic():
            # A rival with the same key waits here until this request has been answered.
            return IdempotencyKey.objects.create(**mine, digest=digest)
    except IntegrityError:
        return _replay(IdempotencyKey.objects.get(**mine), digest)


def _replay(kept: IdempotencyKey, digest: str) -> Response:
    if kept.digest != digest:
        raise KeyReused
    if kept.body == SHOWN_ONCE:
        raise Conflict(
            "This request was done already, and its answer held a secret that is shown once. "
            "Revoke what was made and make a new one under a new key."
        )
    headers = {"Idempotency-Replayed": "true"}
    return Response(json.loads(kept.body), status=kept.status, headers=headers)


def delete_expired_keys() -> int:
    """Forget answers nobody may ask for any more."""
    oldest = timezone.now() - dt.timedelta(hours=settings.ENV.idempotency_hours)
    return IdempotencyKey.objects.filter(created_at__lt=oldest).delete()[0]
