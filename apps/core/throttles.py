"""Rate limits, counted in the cache minute by minute. With the broker down nothing is limited."""

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
    """So many requests a minute for each token, each signed-in person, and each address."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        who, limit = self._who(request)
        window = int(time.time() // WINDOW_SECONDS)
        key = f"rate:{who}:{window}"
        cache.add(key, 0, timeout=WINDOW_SECONDS * 2)
        try:
            return cache.incr(key) <= limit
        except ValueError:
            # The count expired between the two calls: a new minute has begun.
            return True

    def wait(self) -> float:
        return WINDOW_SECONDS - time.time() % WINDOW_SECONDS

    def _who(self, request: Request) -> tuple[str, int]:
        token: Any = request.auth
        if token is not None:
            return f"token:{token.uuid}", settings.ENV.rate_per_minute_user
        if request.user.is_authenticated:
            return f"user:{request.user.pk}", settings.ENV.rate_per_minute_user
        return f"address:{self.get_ident(request)}", settings.ENV.rate_per_minute_anonymous
