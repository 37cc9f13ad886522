"""`Idempotency-Key` on POST: the same key and body twice is done once and answered alike twice.

After the IETF draft "The Idempotency-Key HTTP Header Field". Only answers that succeeded are
kept; a refused request may be put right and sent again under the same key.
"""

import contextlib
import datetime as dt
import hashlib
import json
import uuid
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
# No request takes as long: one still under way then has died with its process.
ABANDONED_AFTER = dt.timedelta(seconds=60)


class KeyReused(APIException):
    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_code = "idempotency_key_reused"
    default_detail = (
        "This Idempotency-Key was used for a request with another body. Use a new key for a new "
        "request."
    )


class UnderWay(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "idempotency_under_way"
    default_detail = "A request with this Idempotency-Key is under way. Ask again in a moment."
    wait = 1


def read_key(request: Request) -> str:
    """The request's key, "" without one. Raise ValidationError when it cannot be one."""
    key = request.headers.get(HEADER)
    if key is None:
        return ""
    if not 1 <= len(key) <= MAX_KEY or not (key.isascii() and key.isprintable()):
        raise ValidationError({HEADER: f"Use 1 to {MAX_KEY} printable ASCII characters."})
    return key


def run_once(
    request: Request,
    key: str,
    handler: Callable[[], Response],
    *,
    is_secret: bool = False,
    is_atomic: bool = True,
    body: bytes | None = None,
) -> Response:
    """Run the handler and keep its answer, or give back the answer kept under the key.

    `is_secret`: the answer holds something shown once; it is not kept, and asking again is a
    Conflict that says so. `is_atomic`: the answer is kept in one transaction with the handler's
    effect, so neither is ever there alone; not for handlers that wait on something. `body` stands
    for a body that was not kept in memory.
    """
    mine = _begin(request, key, request._request.body if body is None else body)
    if isinstance(mine, Response):
        return mine
    is_kept = False
    try:
        with transaction.atomic() if is_atomic else contextlib.nullcontext():
            response = handler()
            if response.status_code < status.HTTP_400_BAD_REQUEST:
                _keep(mine, response, is_secret=is_secret)
                is_kept = True
    finally:
        if not is_kept:
            IdempotencyKey.objects.filter(pk=mine.pk, claim=mine.claim, status=0).delete()
    return response


def _begin(request: Request, key: str, body: bytes) -> IdempotencyKey | Response:
    """The key's row, under way and ours, or the answer of its first use."""
    place = {"user_id": request.user.pk, "key": key, "path": request.path[:500]}
    target = f"{request.method} {request.get_full_path()}\n".encode()
    digest = hashlib.sha256(target + body).hexdigest()
    try:
        with transaction.atomic():
            return IdempotencyKey.objects.create(**place, digest=digest)
    except IntegrityError:
        kept = IdempotencyKey.objects.filter(**place).first()
    if kept is None:
        raise UnderWay  # it was, and was refused a moment ago
    if kept.created_at < _oldest() or (kept.status == 0 and _is_abandoned(kept)):
        return _take_over(kept, digest)
    return _replay(kept, digest)


def _oldest() -> dt.datetime:
    return timezone.now() - dt.timedelta(hours=settings.ENV.idempotency_hours)


def _is_abandoned(kept: IdempotencyKey) -> bool:
    return kept.created_at < timezone.now() - ABANDONED_AFTER


def _take_over(kept: IdempotencyKey, digest: str) -> IdempotencyKey:
    """Claim a row that has expired or whose request died; of two who try, one succeeds."""
    ours: dict[str, Any] = {
        "claim": uuid.uuid4(),
        "digest": digest,
        "status": 0,
        "body": "",
        "created_at": timezone.now(),
    }
    if not IdempotencyKey.objects.filter(pk=kept.pk, claim=kept.claim).update(**ours):
        raise UnderWay
    kept.claim = ours["claim"]
    return kept


def _replay(kept: IdempotencyKey, digest: str) -> Response:
    if kept.digest != digest:
        raise KeyReused
    if kept.status == 0:
        raise UnderWay
    if kept.body == SHOWN_ONCE:
        raise Conflict(
            "This request was done already, and its answer held a secret that is shown only once. "
            "Revoke what was made and make a new one under a new key."
        )
    headers = {"Idempotency-Replayed": "true"}
    return Response(json.loads(kept.body or "null"), status=kept.status, headers=headers)


def _keep(mine: IdempotencyKey, response: Response, *, is_secret: bool) -> None:
    body = SHOWN_ONCE if is_secret else JSONRenderer().render(response.data).decode()
    is_ours = IdempotencyKey.objects.filter(pk=mine.pk, claim=mine.claim, status=0).update(
        status=response.status_code, body=body
    )
    if not is_ours:
        raise Conflict(
            "This took so long that another request with its Idempotency-Key began. Look at what "
            "that one made."
        )


def delete_expired_keys() -> int:
    """Forget answers nobody may ask for any more; returns how many rows went. For the sweep."""
    return IdempotencyKey.objects.filter(created_at__lt=_oldest()).delete()[0]
