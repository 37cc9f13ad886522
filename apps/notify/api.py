"""REST: events, page by page or all at once as JSON lines."""

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from apps.core.filters import MAX_LENGTH, FilterError, parse_filter
from apps.core.viewsets import HouseViewSet
from apps.events.models import Event
from apps.notify.lists import EVENT_LIST, json_lines
from apps.notify.services import visible_events


class EventSerializer(serializers.ModelSerializer[Event]):
    """Who did what to what. `before` and `after` hold the fields that changed."""

    class Meta:
        model = Event
        fields = (
            "id", "at", "actor_id", "actor_label", "project_id", "verb", "object_kind",
            "object_id", "object_label", "before", "after", "request_id",
        )  # fmt: skip
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "before": {"help_text": "The fields that changed, as they were. Empty: none."},
            "after": {"help_text": "The fields that changed, as they became. Empty: none."},
        }


class EventViewSet(HouseViewSet[Event]):
    """Events of your projects, of your own doing, and for site admins of the site."""

    scope_noun = "projects"
    serializer_class = EventSerializer
    list_spec = EVENT_LIST
    query_names = {"export": {"filter"}}

    def get_queryset(self) -> Any:
        user: Any = self.request.user
        return visible_events(user)

    @extend_schema(operation_id="events_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(
        operation_id="events_export",
        responses={(200, "application/x-ndjson"): OpenApiTypes.STR},
        parameters=[OpenApiParameter("filter", {"type": "string", "maxLength": MAX_LENGTH})],
    )
    @action(detail=False, pagination_class=None)
    def export(self, request: Request) -> StreamingHttpResponse:
        """Every event the filter lets through, one a line, newest first."""
        try:
            text = request.query_params.get("filter", "").strip()
            condition = parse_filter(text, EVENT_LIST.fields)
        except FilterError as error:
            raise ValidationError({"filter": str(error)}) from None
        lines = json_lines(self.get_queryset().filter(condition))
        return StreamingHttpResponse(lines, content_type="application/x-ndjson")


def register(router: SimpleRouter) -> None:
    router.register("events", EventViewSet, basename="event")
