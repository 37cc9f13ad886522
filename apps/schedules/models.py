"""Schedules: when something is launched, and as whom."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.accounts.models import User
from apps.core.fields import SLUG_LENGTH, slug_rule
from apps.projects.models import Project


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    def visible_to(self, user: User) -> "ScheduleQuerySet":
        return self.filter(project__in=Project.objects.visible_to(user))

    def due(self) -> "ScheduleQuerySet":
        return self.filter(is_enabled=True, next_run_at__lte=timezone.now())


class Schedule(models.Model):
    """Launches `subject_kind` `subject_id` at each `next_run_at`, as `principal`.

    Either `cron` (five fields, in `time_zone`) or `interval_seconds` is set. When the principal
    loses the role that the launch needs, the schedule stops itself and says so in `message`.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="schedules")
    slug = models.SlugField(max_length=SLUG_LENGTH, validators=[slug_rule])
    subject_kind = models.CharField(max_length=32)
    subject_id = models.UUIDField()
    subject_label = models.CharField(max_length=200)
    cron = models.CharField(max_length=100, blank=True)
    interval_seconds = models.PositiveIntegerField(null=True, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    parameters = models.JSONField(default=dict, blank=True)
    principal = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    is_enabled = models.BooleanField(default=True)
    next_run_at = models.DateTimeField(null=True, blank=True, db_index=True)
    last_run_at = models.DateTimeField(null=True, blank=True)
    message = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[ScheduleQuerySet] = ScheduleQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["slug", "id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "slug"], name="schedule_slug_once"),
            models.CheckConstraint(
                condition=Q(cron="", interval_seconds__isnull=False)
                | (~Q(cron="") & Q(interval_seconds__isnull=True)),
                name="schedule_cron_or_interval",
            ),
        ]

    def __str__(self) -> str:
        return self.slug
