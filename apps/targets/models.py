"""Targets: where work runs. The first is this machine."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Desired(models.TextChoices):
    ACTIVE = "active", "Active"
    PAUSED = "paused", "Paused"


class Observed(models.TextChoices):
    UNKNOWN = "unknown", "Not checked yet"
    READY = "ready", "Ready"
    LIMITED = "limited", "Ready, with limits"
    UNREACHABLE = "unreachable", "Unreachable"


class TargetQuerySet(models.QuerySet["Target"]):
    def due(self) -> "TargetQuerySet":
        return self.filter(next_check_at__lte=timezone.now())


class Target(models.Model):
    """Somewhere work runs, through the engine it names. It does not end, so it has no job.

    `desired` is what a site admin wants (a paused target gets no new work; what runs goes on);
    `observed`, `facts` and `message` are what the reconciler last saw, at `observed_at`.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    slug = models.SlugField(max_length=48, unique=True)
    name = models.CharField(max_length=80)
    engine = models.CharField(max_length=32)
    options = models.JSONField(default=dict, blank=True)
    desired = models.CharField(max_length=16, choices=Desired.choices, default=Desired.ACTIVE)
    observed = models.CharField(max_length=16, choices=Observed.choices, default=Observed.UNKNOWN)
    message = models.CharField(max_length=500, blank=True)
    facts = models.JSONField(default=dict, blank=True)
    observed_at = models.DateTimeField(null=True, blank=True)
    next_check_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[TargetQuerySet] = TargetQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(desired__in=Desired.values), name="target_desired"),
            models.CheckConstraint(
                condition=Q(observed__in=Observed.values), name="target_observed"
            ),
        ]

    def __str__(self) -> str:
        return self.name
