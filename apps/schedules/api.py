"""REST: schedules."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from apps.core.fields import SLUG_LENGTH, SLUG_TEXT, document_text
from apps.core.viewsets import HouseSerializer, HouseViewSet
from apps.projects.models import Role
from apps.projects.services import get_project
from apps.schedules import services
from apps.schedules.lists import SCHEDULE_LIST, SUBJECT_KINDS
from apps.schedules.models import Schedule

DEFINITION = document_text(
    "schedule",
    "A schedule document: subject ({kind: pipeline, ingest or monitor, name}), cron with "
    "time_zone, or every ({seconds, minutes, hours}), and parameters of the launch.",
)


class ScheduleSerializer(serializers.ModelSerializer[Schedule]):
    """`message` says what kept the last launch from happening, or why the schedule stopped
    itself. `principal` is who its launches run as. `next_run_at` is null while it is stopped."""

    project = serializers.SlugField(source="project.slug", read_only=True)
    definition = serializers.SerializerMethodField()
    subject_kind = serializers.ChoiceField(SUBJECT_KINDS, read_only=True)
    subject = serializers.CharField(source="subject_label", read_only=True)
    principal = serializers.StringRelatedField[Any](read_only=True)

    class Meta:
        model = Schedule
        fields = (
            "uuid", "project", "slug", "definition", "subject_kind", "subject", "subject_id",
            "principal", "is_enabled", "next_run_at", "last_run_at", "message", "created_at",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(serializers.DictField(help_text=DEFINITION))
    def get_definition(self, schedule: Schedule) -> dict[str, Any]:
        return services.document_of(schedule)


class NewScheduleSerializer(HouseSerializer):
    project = serializers.SlugField(help_text="The project's slug.")
    slug = serializers.CharField(max_length=SLUG_LENGTH, help_text=SLUG_TEXT)
    definition = serializers.DictField(help_text=DEFINITION)


class ChangeScheduleSerializer(HouseSerializer):
    definition = serializers.DictField(help_text=DEFINITION)


class ScheduleViewSet(HouseViewSet[Schedule]):
    """What is launched by the clock, and as whom."""

    scope_noun = "pipelines"
    serializer_class = ScheduleSerializer
    lookup_field = "uuid"
    list_spec = SCHEDULE_LIST
    queryset = Schedule.objects.none()

    def get_queryset(self) -> Any:
        user: Any = self.request.user
        return Schedule.objects.visible_to(user).select_related("project", "principal")

    @extend_schema(operation_id="schedules_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="schedules_retrieve")
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(ScheduleSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="schedules_create",
        request=NewScheduleSerializer,
        responses={201: ScheduleSerializer},
    )
    def create(self, request: Request) -> Response:
        """Make a schedule. It runs as you, for as long as you are a contributor."""
        serializer = NewScheduleSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked = dict(serializer.validated_data)
        user: Any = request.user
        project = get_project(user, asked.pop("project"), role=Role.CONTRIBUTOR)
        schedule = services.create_schedule(project, user=user, **asked)
        return Response(ScheduleSerializer(schedule).data, status=201)

    @extend_schema(
        operation_id="schedules_update",
        request=ChangeScheduleSerializer,
        responses=ScheduleSerializer,
    )
    def partial_update(self, request: Request, uuid: str) -> Response:
        """Define it anew. It runs as you from now on."""
        serializer = ChangeScheduleSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user: Any = request.user
        asked = serializer.validated_data
        schedule = services.update_schedule(self.get_object(), user=user, **asked)
        return Response(ScheduleSerializer(schedule).data)

    @extend_schema(operation_id="schedules_delete", responses={204: None})
    def destroy(self, request: Request, uuid: str) -> Response:
        """Take it away. What it launched stays."""
        user: Any = request.user
        services.delete_schedule(self.get_object(), user=user)
        return Response(status=204)

    @extend_schema(operation_id="schedules_enable", request=None, responses=ScheduleSerializer)
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, uuid: str) -> Response:
        """Start it. It runs as you from now on."""
        return self._enabled(request, True)

    @extend_schema(operation_id="schedules_disable", request=None, responses=ScheduleSerializer)
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, uuid: str) -> Response:
        """Stop it until it is started again."""
        return self._enabled(request, False)

    def _enabled(self, request: Request, is_enabled: bool) -> Response:
        self.refuse_body(request)
        user: Any = request.user
        schedule = services.set_enabled(self.get_object(), is_enabled=is_enabled, user=user)
        return Response(ScheduleSerializer(schedule).data)


def register(router: SimpleRouter) -> None:
    router.register("schedules", ScheduleViewSet, basename="schedule")
