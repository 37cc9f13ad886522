"""Events: one table that is timeline and audit trail.

An event refers to everything by (kind, id, label), never by foreign key: it must outlive what it
tells of, and it lies below people and projects so that every service can write one.
"""

from django.db import models
from django.utils import timezone


class Event(models.Model):
    """Somebody did something to something. Never changed, never deleted by the portal.

    `actor_label` and `object_label` are what they were called then. `before` and `after` hold only
    the fields that changed; secrets never. `project_id` is empty for what concerns the whole site.
    """

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor_id = models.UUIDField(null=True, blank=True)
    actor_label = models.CharField(max_length=254, default="Portolan")
    project_id = models.UUIDField(null=True, blank=True)
    verb = models.CharField(max_length=64)
    object_kind = models.CharField(max_length=32)
    object_id = models.CharField(max_length=64)
    object_label = models.CharField(max_length=254)
    before = models.JSONField(default=dict, blank=True)
    after = models.JSONField(default=dict, blank=True)
    request_id = models.CharField(max_length=64, default="-")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["project_id", "-id"], name="event_project"),
            models.Index(fields=["object_kind", "object_id", "-id"], name="event_object"),
            models.Index(fields=["actor_id", "-id"], name="event_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_label} {self.verb} {self.object_label}"
