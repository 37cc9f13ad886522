"""The one table of the frame itself: answers kept for requests that are sent again."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone


class IdempotencyKey(models.Model):
    """A POST and what was answered, so that sending it again does nothing twice.

    ```
    under way (status 0) --done--> kept (status 2xx) --expires--> gone
          └--refused, failed--> gone
    ```
    It turns from under way to kept in the transaction of the POST's own effect, by whoever holds
    `claim`: one that stays under way had no effect, and may be taken over.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    path = models.CharField(max_length=500)
    digest = models.CharField(max_length=64)
    claim = models.UUIDField(default=uuid.uuid4)
    status = models.PositiveSmallIntegerField(default=0)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "key", "path"], name="idempotency_once")
        ]

    def __str__(self) -> str:
        return f"{self.path} {self.key}"
