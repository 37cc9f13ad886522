"""Stage 1: where data comes from, and the datasets it becomes."""

import uuid
from pathlib import Path
from typing import ClassVar, TypeVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.accounts.models import User
from apps.core.fields import SLUG_LENGTH, slug_rule
from apps.jobs.models import Job
from apps.projects.models import Project

M = TypeVar("M", bound=models.Model)


class InProjectQuerySet(models.QuerySet[M]):
    """For models with a `project` of their own."""

    def visible_to(self, user: User) -> "InProjectQuerySet[M]":
        return self.filter(project__in=Project.objects.visible_to(user))


class Upload(models.Model):
    """A file somebody sent, whole and hashed; it lies under `var/uploads`."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="uploads")
    name = models.CharField(max_length=255)
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar["InProjectQuerySet[Upload]"] = InProjectQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        return Path(settings.VAR_DIR, "uploads", str(self.project.uuid), str(self.uuid))


class Source(models.Model):
    """A connection plus what to read from it: `definition` is a `SourceDocument`.

    `secret` is encrypted, write-only, and empty where the connection needs none.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="sources")
    slug = models.SlugField(max_length=SLUG_LENGTH, validators=[slug_rule])
    description = models.TextField(max_length=2000, blank=True)
    definition = models.JSONField()
    secret = models.TextField(blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar["InProjectQuerySet[Source]"] = InProjectQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["slug", "id"]
        constraints = [models.UniqueConstraint(fields=["project", "slug"], name="source_slug_once")]

    def __str__(self) -> str:
        return self.slug


class Dataset(models.Model):
    """A named table with versions: a Delta table under `var/lake`.

    Filled from `source`, or, where that is empty, by pipelines.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="datasets")
    slug = models.SlugField(max_length=SLUG_LENGTH, validators=[slug_rule])
    description = models.TextField(max_length=2000, blank=True)
    source = models.ForeignKey(
        Source, on_delete=models.PROTECT, null=True, blank=True, related_name="datasets"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar["InProjectQuerySet[Dataset]"] = InProjectQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["slug", "id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "slug"], name="dataset_slug_once")
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def path(self) -> Path:
        """The Delta table's folder."""
        return Path(settings.VAR_DIR, "lake", str(self.project.uuid), str(self.uuid))


class DatasetVersionQuerySet(models.QuerySet["DatasetVersion"]):
    def visible_to(self, user: User) -> "DatasetVersionQuerySet":
        return self.filter(dataset__project__in=Project.objects.visible_to(user))


class DatasetVersion(models.Model):
    """One version of a dataset: Delta version `number` of its table. Never changed.

    `columns` is a list of {"name", "type"} (Arrow type names) in order; `profile` what
    `runtime.data.profile` says of them. `job` wrote it; `origin_kind`/`origin_id` name the source
    or pipeline run it came from, `inputs` the dataset versions ({"dataset", "version" uuids}).
    `commit_key` is the job's id and output name, unique, so a retry finds what was written.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveBigIntegerField()
    columns = models.JSONField(default=list)
    profile = models.JSONField(default=dict)
    row_count = models.BigIntegerField()
    size_bytes = models.BigIntegerField()
    job = models.ForeignKey(Job, on_delete=models.SET_NULL, null=True, related_name="+")
    origin_kind = models.CharField(max_length=32)
    origin_id = models.UUIDField()
    inputs = models.JSONField(default=list)
    commit_key = models.CharField(max_length=120, unique=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[DatasetVersionQuerySet] = DatasetVersionQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-number", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "number"], name="dataset_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.dataset} v{self.number}"


class ColumnEdge(models.Model):
    """One hop of column lineage: a column of something goes into a column of something else.

    Ends are (kind, id, column), so later stages can write edges too: kinds are `source`,
    `dataset_version`, `model_version`. An empty column means the table as a whole.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    from_kind = models.CharField(max_length=32)
    from_id = models.UUIDField()
    from_label = models.CharField(max_length=200)
    from_column = models.CharField(max_length=255, blank=True)
    to_kind = models.CharField(max_length=32)
    to_id = models.UUIDField()
    to_label = models.CharField(max_length=200)
    to_column = models.CharField(max_length=255, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["from_id", "from_column"], name="edge_from"),
            models.Index(fields=["to_id", "to_column"], name="edge_to"),
        ]

    def __str__(self) -> str:
        return f"{self.from_label}.{self.from_column} → {self.to_label}.{self.to_column}"
