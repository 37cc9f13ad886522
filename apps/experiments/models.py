"""Stage 3: experiments, their runs, and what runs log."""

import uuid
from pathlib import Path
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.accounts.models import User
from apps.core.fields import SLUG_LENGTH, slug_rule
from apps.jobs.models import Job
from apps.projects.models import Project
from apps.sources.models import DatasetVersion


class ExperimentQuerySet(models.QuerySet["Experiment"]):
    def visible_to(self, user: User) -> "ExperimentQuerySet":
        return self.filter(project__in=Project.objects.visible_to(user))


class Experiment(models.Model):
    """A question, and the runs that try to answer it."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="experiments")
    slug = models.SlugField(max_length=SLUG_LENGTH, validators=[slug_rule])
    description = models.TextField(max_length=2000, blank=True)
    # Named training specs (`TrainingDocument`s) kept to be launched again.
    specs = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[ExperimentQuerySet] = ExperimentQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["slug", "id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "slug"], name="experiment_slug_once")
        ]

    def __str__(self) -> str:
        return self.slug


class RunQuerySet(models.QuerySet["Run"]):
    def visible_to(self, user: User) -> "RunQuerySet":
        return self.filter(experiment__project__in=Project.objects.visible_to(user))


class Run(models.Model):
    """One training. Its state is its job's. Everything it stands on is pinned: the dataset
    version, the definition (`TrainingDocument`), the code's hash, the packages and the seed."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="runs")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="run")
    name = models.CharField(max_length=120)
    definition = models.JSONField()
    dataset_version = models.ForeignKey(
        DatasetVersion, on_delete=models.PROTECT, related_name="runs"
    )
    seed = models.BigIntegerField()
    code_digest = models.CharField(max_length=64, blank=True)
    packages = models.JSONField(default=dict, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[RunQuerySet] = RunQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def artifact_path(self) -> Path:
        return Path(settings.VAR_DIR, "artifacts", str(self.uuid))


class Param(models.Model):
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="params")
    key = models.CharField(max_length=250)
    value = models.TextField()

    class Meta:
        ordering = ["key"]
        constraints = [models.UniqueConstraint(fields=["run", "key"], name="param_once")]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


class Tag(models.Model):
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="tags")
    key = models.CharField(max_length=250)
    value = models.TextField()

    class Meta:
        ordering = ["key"]
        constraints = [models.UniqueConstraint(fields=["run", "key"], name="tag_once")]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


class Metric(models.Model):
    """One value of a metric at a step. `is_last` marks the newest of each key, which lists and
    filters read."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="metrics")
    key = models.CharField(max_length=250)
    step = models.BigIntegerField(default=0)
    value = models.FloatField()
    logged_at = models.DateTimeField(default=timezone.now)
    is_last = models.BooleanField(default=False)

    class Meta:
        ordering = ["key", "step", "id"]
        indexes = [
            models.Index(fields=["run", "key", "step"], name="metric_series"),
            models.Index(
                fields=["key", "value"], name="metric_last", condition=models.Q(is_last=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key}[{self.step}]={self.value}"


class Artifact(models.Model):
    """A file of a run, by its path under the run's folder, with its hash."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="artifacts")
    path = models.CharField(max_length=500)
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        ordering = ["path"]
        constraints = [models.UniqueConstraint(fields=["run", "path"], name="artifact_once")]

    def __str__(self) -> str:
        return self.path
