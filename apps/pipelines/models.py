"""Stage 2: pipelines, their versions, and the runs that make datasets."""

import json
import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.accounts.models import User
from apps.core.fields import SLUG_LENGTH, slug_rule
from apps.jobs.models import Job
from apps.projects.models import Project


class OrderedJSONField(models.TextField):  # type: ignore[type-arg]
    """JSON whose objects keep the order of their keys, which PostgreSQL's jsonb does not: it is
    the order of steps and of columns."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return None if value is None else json.loads(value)

    def to_python(self, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else json.dumps(value, separators=(",", ":"))


class PipelineQuerySet(models.QuerySet["Pipeline"]):
    def visible_to(self, user: User) -> "PipelineQuerySet":
        return self.filter(project__in=Project.objects.visible_to(user))


class Pipeline(models.Model):
    """A named piece of work on data. What it does is in its versions."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="pipelines")
    slug = models.SlugField(max_length=SLUG_LENGTH, validators=[slug_rule])
    description = models.TextField(max_length=2000, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[PipelineQuerySet] = PipelineQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["slug", "id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "slug"], name="pipeline_slug_once")
        ]

    def __str__(self) -> str:
        return self.slug


class PipelineVersionQuerySet(models.QuerySet["PipelineVersion"]):
    def visible_to(self, user: User) -> "PipelineVersionQuerySet":
        return self.filter(pipeline__project__in=Project.objects.visible_to(user))


class PipelineVersion(models.Model):
    """An unchanging definition (`PipelineDocument`), with its SHA-256 and its column lineage.

    `lineage` holds, for each step whose columns are known, output column → list of [step, column]
    (for a read step: [dataset, column]); it is completed at a launch, when all inputs are known.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    definition = OrderedJSONField()
    digest = models.CharField(max_length=64)
    lineage = models.JSONField(default=dict)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[PipelineVersionQuerySet] = PipelineVersionQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-number", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["pipeline", "number"], name="pipeline_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.pipeline} v{self.number}"


class PipelineRunQuerySet(models.QuerySet["PipelineRun"]):
    def visible_to(self, user: User) -> "PipelineRunQuerySet":
        return self.filter(version__pipeline__project__in=Project.objects.visible_to(user))


class PipelineRun(models.Model):
    """One launch of a version. Its state is its job's; `inputs` pins the dataset versions read:
    a list of {"name", "dataset", "version"} with uuids."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    version = models.ForeignKey(PipelineVersion, on_delete=models.PROTECT, related_name="runs")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="pipeline_run")
    inputs = models.JSONField(default=list)
    parameters = models.JSONField(default=dict)

    objects: ClassVar[PipelineRunQuerySet] = PipelineRunQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.version} run {self.pk}"


class StepRun(models.Model):
    """How one step of a run went, as its job told. `checks` lists what was checked and found."""

    run = models.ForeignKey(PipelineRun, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=64)
    operation = models.CharField(max_length=32)
    state = models.CharField(max_length=16)
    message = models.CharField(max_length=2000, blank=True)
    rows_in = models.BigIntegerField(null=True)
    rows_out = models.BigIntegerField(null=True)
    size_bytes = models.BigIntegerField(null=True)
    seconds = models.FloatField(null=True)
    checks = models.JSONField(default=list)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="step_run_once")]

    def __str__(self) -> str:
        return self.name
