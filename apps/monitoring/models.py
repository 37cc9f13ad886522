"""Stage 6: monitors, their evaluations, and alerts."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.accounts.models import User
from apps.core.fields import SLUG_LENGTH, slug_rule
from apps.deployments.models import Endpoint
from apps.jobs.models import Job
from apps.projects.models import Project


class MonitorQuerySet(models.QuerySet["Monitor"]):
    def visible_to(self, user: User) -> "MonitorQuerySet":
        return self.filter(endpoint__project__in=Project.objects.visible_to(user))


class Monitor(models.Model):
    """What is watched of an endpoint, and when it is too much: `definition` is a
    `MonitorDocument`."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="monitors")
    slug = models.SlugField(max_length=SLUG_LENGTH, validators=[slug_rule])
    definition = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[MonitorQuerySet] = MonitorQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["slug", "id"]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "slug"], name="monitor_slug_once")
        ]

    def __str__(self) -> str:
        return self.slug


class EvaluationQuerySet(models.QuerySet["Evaluation"]):
    def visible_to(self, user: User) -> "EvaluationQuerySet":
        return self.filter(monitor__endpoint__project__in=Project.objects.visible_to(user))


class Evaluation(models.Model):
    """One look at a window of captured requests, by `job`; `results` is what it found:
    {"rows", "signals": [{"signal", "subject", "value", "threshold", "state"}], "charts": …}."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    monitor = models.ForeignKey(Monitor, on_delete=models.CASCADE, related_name="evaluations")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="evaluation")
    window_start = models.DateTimeField()
    window_end = models.DateTimeField()
    row_count = models.BigIntegerField(null=True)
    results = models.JSONField(default=dict)

    objects: ClassVar[EvaluationQuerySet] = EvaluationQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.monitor} at {self.window_end}"


class AlertQuerySet(models.QuerySet["Alert"]):
    def visible_to(self, user: User) -> "AlertQuerySet":
        return self.filter(monitor__endpoint__project__in=Project.objects.visible_to(user))


class Alert(models.Model):
    """A signal went past its threshold, and is open until an evaluation finds it back inside."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    monitor = models.ForeignKey(Monitor, on_delete=models.CASCADE, related_name="alerts")
    signal = models.CharField(max_length=64)
    subject = models.CharField(max_length=255, blank=True)
    value = models.FloatField()
    threshold = models.FloatField()
    opened_by = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="opened")
    opened_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[AlertQuerySet] = AlertQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["monitor", "signal", "subject"],
                condition=Q(closed_at__isnull=True),
                name="alert_open_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.signal} of {self.subject}" if self.subject else self.signal
