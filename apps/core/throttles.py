"""Rate limits, counted in the cache minute by minute. With the broker down nothing is limited."""

import math
import time
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

if TYPE_CHECKING:
    from rest_framework.views import APIView

WINDOW_SECONDS = 60


class MinuteThrottle(BaseThrottle):
    """So many requests a minute for each token, each signed-in person, and each address.

    Tells the view, as `rate_headers`, what is left: the fields of the IETF draft "RateLimit
    header fields for HTTP".
    """

    def allow_request(self, request: Request, view: "APIView") -> bool:
        who, limit = self._who(request)
        window = int(time.time() // WINDOW_SECONDS)
        key = f"rate:{who}:{window}"
        cache.add(key, 0, timeout=WINDOW_SECONDS * 2)
        try:
            count = cache.incr(key)
        except ValueError:
            # The count expired between the two calls: a new minute has begun.
            return True
        left, seconds = max(limit - count, 0), math.ceil(self.wait())
        view.rate_headers = {  # type: ignore[attr-defined]
            "RateLimit-Policy": f'"minute";q={limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"minute";r={left};t={seconds}',
        }
        return count <= limit

    def wait(self) -> float:
        return WINDOW_SECONDS - time.time() % WINDOW_SECONDS

    def _who(self, request: Request) -> tuple[str, int]:
        token: Any = request.auth
        if token is not None:
            return f"token:{token.uuid}", settings.ENV.rate_per_minute_user
        if request.user.is_authenticated:
            return f"user:{request.user.pk}", settings.ENV.rate_per_minute_user
        return f"address:{self.get_ident(request)}", settings.ENV.rate_per_minute_anonymous
