"""Stage 5: endpoints, the releases on them, and the keys that open them."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.accounts.models import User
from apps.core.fields import SLUG_LENGTH, slug_rule
from apps.jobs.models import Job
from apps.projects.models import Project
from apps.registry.models import Model, ModelVersion
from apps.targets.models import Target
from runtime.documents.endpoint import EndpointDocument


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def visible_to(self, user: User) -> "EndpointQuerySet":
        return self.filter(project__in=Project.objects.visible_to(user))


class Endpoint(models.Model):
    """An address that answers with a model's predictions. It does not end, so it has no job.

    `definition` is an `EndpointDocument`. What is wanted are the releases with a weight; what is
    so is in `observed`, as the scoring server last acknowledged it.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="endpoints")
    slug = models.SlugField(max_length=SLUG_LENGTH, validators=[slug_rule])
    description = models.TextField(max_length=2000, blank=True)
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="endpoints")
    target = models.ForeignKey(Target, on_delete=models.PROTECT, related_name="endpoints")
    definition = models.JSONField()
    observed = models.JSONField(default=dict, blank=True)
    observed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[EndpointQuerySet] = EndpointQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["slug", "id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "slug"], name="endpoint_slug_once")
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def document(self) -> EndpointDocument:
        """The definition; what was saved was checked."""
        return EndpointDocument.model_validate(self.definition)

    @property
    def address(self) -> str:
        """Its path on the scoring server."""
        return f"{self.project.slug}/{self.slug}"


class ReleaseQuerySet(models.QuerySet["Release"]):
    def visible_to(self, user: User) -> "ReleaseQuerySet":
        return self.filter(endpoint__project__in=Project.objects.visible_to(user))


class Release(models.Model):
    """A model version on an endpoint. `weight` is its share of traffic in percent, as wanted."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="releases")
    slug = models.SlugField(max_length=SLUG_LENGTH, validators=[slug_rule])
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="releases")
    weight = models.PositiveSmallIntegerField(default=0)
    retired_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[ReleaseQuerySet] = ReleaseQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "slug"], name="release_slug_once"),
            models.CheckConstraint(condition=Q(weight__lte=100), name="release_weight"),
        ]

    def __str__(self) -> str:
        return f"{self.endpoint}/{self.slug}"


class RouteChangeQuerySet(models.QuerySet["RouteChange"]):
    def visible_to(self, user: User) -> "RouteChangeQuerySet":
        return self.filter(endpoint__project__in=Project.objects.visible_to(user))


class RouteChange(models.Model):
    """One change of what an endpoint serves: a numbered snapshot of all routes, applied by `job`.

    `weights` maps release uuids to percent, after the change; `before` is what it replaced, to
    roll back to. Applied only once the scoring server has acknowledged `number`.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="changes")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="route_change")
    number = models.PositiveBigIntegerField(unique=True)
    weights = models.JSONField(default=dict)
    before = models.JSONField(default=dict)
    reason = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    applied_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[RouteChangeQuerySet] = RouteChangeQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"{self.endpoint} change {self.number}"


class EndpointKeyQuerySet(models.QuerySet["EndpointKey"]):
    def visible_to(self, user: User) -> "EndpointKeyQuerySet":
        return self.filter(endpoint__project__in=Project.objects.visible_to(user))


class EndpointKey(models.Model):
    """A key that opens an endpoint. Only its SHA-256 is kept; the key is shown once."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="keys")
    name = models.CharField(max_length=80)
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=12)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[EndpointKeyQuerySet] = EndpointKeyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name
