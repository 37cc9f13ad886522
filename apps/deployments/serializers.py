"""What REST takes and answers of endpoints, releases, keys and route changes."""

from typing import Any

from rest_framework import serializers

from apps.core.fields import SLUG_LENGTH, SLUG_TEXT, document_text
from apps.core.viewsets import HouseSerializer
from apps.deployments.models import Endpoint, EndpointKey, Release, RouteChange
from apps.deployments.routing import endpoint_url
from apps.deployments.services import MAX_DAYS
from apps.jobs.models import State

DEFINITION = document_text(
    "endpoint",
    "An endpoint document: model (a slug), keys (columns that name a row), sticky (a column), "
    "capture (is_on, sample, columns: keep, hash or drop), limits (rows, body_bytes, queue, "
    "deadline_seconds).",
)
OBSERVED = (
    "`number` of the last change it has applied, and `releases` by slug: uuid, weight, state "
    "(ready or failed), engine, message. Empty before the first change."
)


class Weights(serializers.DictField):
    """Release slugs to whole percentages. JSON's true is no number."""

    child = serializers.IntegerField(min_value=0, max_value=100)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            wrong = [name for name, value in data.items() if type(value) is not int]
            if wrong:
                raise serializers.ValidationError(
                    {str(wrong[0]): ["Send a whole number, 0 to 100."]}
                )
        return super().to_internal_value(data)


class ReleaseSerializer(serializers.ModelSerializer[Release]):
    """`weight` is the percentage wanted; what is served is in the endpoint's `observed`."""

    project = serializers.CharField(source="endpoint.project.slug", read_only=True)
    endpoint = serializers.CharField(source="endpoint.slug", read_only=True)
    endpoint_uuid = serializers.UUIDField(source="endpoint.uuid", read_only=True)
    version = serializers.UUIDField(source="version.uuid", read_only=True)
    number = serializers.IntegerField(source="version.number", read_only=True)
    engine = serializers.CharField(source="version.engine", read_only=True)
    created_by = serializers.StringRelatedField[Any](read_only=True, allow_null=True)

    class Meta:
        model = Release
        fields = (
            "uuid", "project", "endpoint", "endpoint_uuid", "slug", "version", "number", "engine",
            "weight", "retired_at", "created_by", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class EndpointSerializer(serializers.ModelSerializer[Endpoint]):
    """An endpoint. POST `{"rows": [{…}]}` to `<url>/score` with a key of it: its own document, of
    the operation `endpoints_schema`, says what a row is and which other protocols it speaks.
    `observed` is what the scoring server last said it serves."""

    project = serializers.CharField(source="project.slug", read_only=True)
    model = serializers.CharField(source="model.slug", read_only=True)
    target = serializers.CharField(source="target.slug", read_only=True)
    definition = serializers.DictField(read_only=True, help_text=DEFINITION)
    observed = serializers.DictField(read_only=True, help_text=OBSERVED)
    url = serializers.SerializerMethodField()
    releases = ReleaseSerializer(many=True, read_only=True)

    class Meta:
        model = Endpoint
        fields = (
            "uuid", "project", "slug", "description", "model", "target", "definition", "url",
            "releases", "observed", "observed_at", "created_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_url(self, endpoint: Endpoint) -> str:
        return endpoint_url(endpoint)


class NewEndpointSerializer(HouseSerializer):
    project = serializers.SlugField(help_text="The project's slug.")
    slug = serializers.CharField(max_length=SLUG_LENGTH, help_text=SLUG_TEXT)
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    definition = serializers.DictField(help_text=DEFINITION)


class ChangeEndpointSerializer(HouseSerializer):
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    definition = serializers.DictField(required=False, help_text=DEFINITION)


class WeightsSerializer(HouseSerializer):
    weights = Weights(help_text="Release slugs to percent; together 100, or all 0.")
    reason = serializers.CharField(max_length=400, required=False, allow_blank=True)


class BackSerializer(HouseSerializer):
    reason = serializers.CharField(max_length=400, required=False, allow_blank=True)


class NewReleaseSerializer(HouseSerializer):
    project = serializers.SlugField(help_text="The project's slug.")
    endpoint = serializers.SlugField(help_text="The endpoint's slug.")
    version = serializers.UUIDField(help_text="The model version's uuid.")
    slug = serializers.CharField(max_length=SLUG_LENGTH, help_text="Such as champion.")


class ChangeSerializer(serializers.ModelSerializer[RouteChange]):
    """A change of routes; applied once its job has succeeded. Weights are by release uuid."""

    project = serializers.CharField(source="endpoint.project.slug", read_only=True)
    endpoint = serializers.CharField(source="endpoint.slug", read_only=True)
    weights = serializers.DictField(child=serializers.IntegerField(), read_only=True)
    before = serializers.DictField(child=serializers.IntegerField(), read_only=True)
    job = serializers.UUIDField(source="job_id", read_only=True)
    state = serializers.ChoiceField(State.choices, source="job.state", read_only=True)
    message = serializers.CharField(source="job.message", read_only=True)
    created_by = serializers.StringRelatedField[Any](read_only=True, allow_null=True)
    started_at = serializers.DateTimeField(source="job.started_at", read_only=True, allow_null=True)
    finished_at = serializers.DateTimeField(
        source="job.finished_at", read_only=True, allow_null=True
    )

    class Meta:
        model = RouteChange
        fields = (
            "uuid", "project", "endpoint", "number", "weights", "before", "reason", "job", "state",
            "message", "created_by", "created_at", "started_at", "finished_at", "applied_at",
        )  # fmt: skip
        read_only_fields = fields


class KeySerializer(serializers.ModelSerializer[EndpointKey]):
    """A key. Its text is shown once, when it is made; `hint` is how it begins."""

    project = serializers.CharField(source="endpoint.project.slug", read_only=True)
    endpoint = serializers.CharField(source="endpoint.slug", read_only=True)
    created_by = serializers.StringRelatedField[Any](read_only=True, allow_null=True)

    class Meta:
        model = EndpointKey
        fields: tuple[str, ...] = (
            "uuid", "project", "endpoint", "name", "hint", "expires_at", "revoked_at",
            "created_by", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class KeyWithTextSerializer(KeySerializer):
    text = serializers.CharField(help_text="The key itself, shown this once.")

    class Meta(KeySerializer.Meta):
        fields = (*KeySerializer.Meta.fields, "text")
        read_only_fields = fields


class NewKeySerializer(HouseSerializer):
    project = serializers.SlugField(help_text="The project's slug.")
    endpoint = serializers.SlugField(help_text="The endpoint's slug.")
    name = serializers.CharField(max_length=80, help_text="What will use it.")
    days = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=MAX_DAYS,
        help_text="Left out, it opens until it is revoked.",
    )
