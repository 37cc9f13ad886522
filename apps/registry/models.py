"""Stage 4: models, their versions, approvals, and the names by which they are known."""

import uuid
from pathlib import Path
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.accounts.models import User
from apps.core.fields import SLUG_LENGTH, slug_rule
from apps.experiments.models import Run
from apps.jobs.models import Job
from apps.projects.models import Project


class ModelQuerySet(models.QuerySet["Model"]):
    def visible_to(self, user: User) -> "ModelQuerySet":
        return self.filter(project__in=Project.objects.visible_to(user))


class Model(models.Model):
    """A named model. `policy` is a `PolicyDocument`: what a version needs to be approved."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="registered_models")
    slug = models.SlugField(max_length=SLUG_LENGTH, validators=[slug_rule])
    description = models.TextField(max_length=2000, blank=True)
    policy = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[ModelQuerySet] = ModelQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["slug", "id"]
        constraints = [models.UniqueConstraint(fields=["project", "slug"], name="model_slug_once")]

    def __str__(self) -> str:
        return self.slug


class Verdict(models.TextChoices):
    PENDING = "pending", "Waiting for approval"
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"


class ModelVersionQuerySet(models.QuerySet["ModelVersion"]):
    def visible_to(self, user: User) -> "ModelVersionQuerySet":
        return self.filter(model__project__in=Project.objects.visible_to(user))


class ModelVersion(models.Model):
    """A registered version: the package at `path`, made from `run` by `job`, whose state is its.

    `engine` is `onnx` or `native`; `conversion` tells how the ONNX form agreed with the original
    ({"is_accepted", "rows", "max_abs_difference", "labels_equal", "reason"}). `files` maps paths
    in the package to SHA-256. `verdict` is the newest of its approvals.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="model_versions")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="model_version")
    engine = models.CharField(max_length=16, blank=True)
    signature = models.JSONField(default=dict)
    input_example = models.JSONField(default=list)
    conversion = models.JSONField(default=dict)
    files = models.JSONField(default=dict)
    verdict = models.CharField(max_length=16, choices=Verdict.choices, default=Verdict.PENDING)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[ModelVersionQuerySet] = ModelVersionQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-number", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["model", "number"], name="model_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.model} v{self.number}"

    @property
    def path(self) -> Path:
        """The package's folder."""
        return Path(settings.VAR_DIR, "models", str(self.uuid))


class Approval(models.Model):
    """Somebody's verdict on a version, with the reason. Never changed."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="approvals")
    verdict = models.CharField(max_length=16, choices=Verdict.choices)
    reason = models.TextField(max_length=2000)
    # What the policy asked and what was found, as it was then.
    evidence = models.JSONField(default=dict)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.version} {self.verdict}"


class Alias(models.Model):
    """A name for one version of a model, such as `champion`."""

    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="aliases")
    name = models.SlugField(max_length=SLUG_LENGTH, validators=[slug_rule])
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="aliases")

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["model", "name"], name="alias_once")]

    def __str__(self) -> str:
        return f"{self.model}@{self.name}"


class AliasChange(models.Model):
    """An alias was set, moved or removed (`version` empty): the history of what was live when."""

    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="alias_changes")
    name = models.CharField(max_length=SLUG_LENGTH)
    version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, related_name="alias_changes"
    )
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    changed_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} → {self.version}"
