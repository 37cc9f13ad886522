"""REST: monitors, their evaluations and alerts."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from apps.core.fields import SLUG_TEXT, document_text
from apps.core.viewsets import HouseSerializer, HouseViewSet
from apps.jobs.models import State
from apps.monitoring import services
from apps.monitoring.lists import ALERT_LIST, EVALUATION_LIST, MONITOR_LIST
from apps.monitoring.models import Alert, Evaluation, Monitor
from apps.projects.models import Role
from apps.projects.services import get_project

DEFINITION = document_text(
    "monitor", "A monitor document: what is watched of which endpoint, with thresholds."
)
RESULTS = (
    "`rows`; `releases`, with the rows of each; `signals`, each with signal, subject, column, "
    "releases, value, threshold, direction, n, noise, state (ok, alert or insufficient) and note; "
    "`charts`; `skipped` files. docs/monitoring.md defines every figure."
)


class MonitorSerializer(serializers.ModelSerializer[Monitor]):
    project = serializers.SlugField(source="endpoint.project.slug", read_only=True)
    endpoint = serializers.SlugField(source="endpoint.slug", read_only=True)
    endpoint_uuid = serializers.UUIDField(source="endpoint.uuid", read_only=True)
    definition = serializers.DictField(read_only=True, help_text=DEFINITION)

    class Meta:
        model = Monitor
        fields = (
            "uuid", "slug", "project", "endpoint", "endpoint_uuid", "definition", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class NewMonitorSerializer(HouseSerializer):
    project = serializers.SlugField(help_text="The project's slug.")
    slug = serializers.CharField(max_length=48, help_text=SLUG_TEXT)
    definition = serializers.DictField(help_text=DEFINITION)


class ChangeMonitorSerializer(HouseSerializer):
    definition = serializers.DictField(help_text=DEFINITION)


class NewEvaluationSerializer(HouseSerializer):
    """Left out, the window is the monitor's own, up to now."""

    window_start = serializers.DateTimeField(required=False)
    window_end = serializers.DateTimeField(required=False, help_text="Not included.")
    release = serializers.SlugField(
        required=False, help_text="Only this release, by its slug. Alerts stay as they are then."
    )


class EvaluationSerializer(serializers.ModelSerializer[Evaluation]):
    """An evaluation; its state is its job's. `row_count` is null until it has ended."""

    project = serializers.SlugField(source="monitor.endpoint.project.slug", read_only=True)
    endpoint = serializers.SlugField(source="monitor.endpoint.slug", read_only=True)
    monitor = serializers.SlugField(source="monitor.slug", read_only=True)
    monitor_uuid = serializers.UUIDField(source="monitor.uuid", read_only=True)
    job = serializers.UUIDField(source="job_id", read_only=True)
    state = serializers.ChoiceField(State.choices, source="job.state", read_only=True)
    message = serializers.CharField(source="job.message", read_only=True)
    created_at = serializers.DateTimeField(source="job.created_at", read_only=True)
    started_at = serializers.DateTimeField(source="job.started_at", read_only=True, allow_null=True)
    finished_at = serializers.DateTimeField(
        source="job.finished_at", read_only=True, allow_null=True
    )

    class Meta:
        model = Evaluation
        fields = (
            "uuid", "project", "endpoint", "monitor", "monitor_uuid", "job", "state", "message",
            "window_start", "window_end", "row_count", "created_at", "started_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields


class EvaluationDetailSerializer(EvaluationSerializer):
    """With what it found; `results` is empty until it has succeeded."""

    results = serializers.DictField(read_only=True, help_text=RESULTS)

    class Meta(EvaluationSerializer.Meta):
        fields = (*EvaluationSerializer.Meta.fields, "results")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class AlertSerializer(serializers.ModelSerializer[Alert]):
    """A signal past its threshold. `closed_at` is null while it is."""

    project = serializers.SlugField(source="monitor.endpoint.project.slug", read_only=True)
    endpoint = serializers.SlugField(source="monitor.endpoint.slug", read_only=True)
    monitor = serializers.SlugField(source="monitor.slug", read_only=True)
    monitor_uuid = serializers.UUIDField(source="monitor.uuid", read_only=True)
    opened_by = serializers.UUIDField(source="opened_by.uuid", read_only=True)

    class Meta:
        model = Alert
        fields = (
            "uuid", "project", "endpoint", "monitor", "monitor_uuid", "signal", "subject", "value",
            "threshold", "opened_by", "opened_at", "closed_at",
        )  # fmt: skip
        read_only_fields = fields


class MonitorViewSet(HouseViewSet[Monitor]):
    """What is watched of endpoints."""

    scope_noun = "monitors"
    serializer_class = MonitorSerializer
    lookup_field = "uuid"
    list_spec = MONITOR_LIST
    queryset = Monitor.objects.none()

    def get_queryset(self) -> Any:
        user: Any = self.request.user
        return Monitor.objects.visible_to(user).select_related(
            "endpoint__project", "endpoint__target"
        )

    @extend_schema(operation_id="monitors_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="monitors_retrieve")
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(MonitorSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="monitors_create",
        request=NewMonitorSerializer,
        responses={201: MonitorSerializer},
    )
    def create(self, request: Request) -> Response:
        """Watch an endpoint. Contributors and owners."""
        serializer = NewMonitorSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked, user = serializer.validated_data, _user(request)
        project = get_project(user, asked["project"], role=Role.CONTRIBUTOR)
        monitor = services.create_monitor(
            project, slug=asked["slug"], definition=asked["definition"], user=user
        )
        return Response(MonitorSerializer(monitor).data, status=201)

    @extend_schema(
        operation_id="monitors_update", request=ChangeMonitorSerializer, responses=MonitorSerializer
    )
    def partial_update(self, request: Request, uuid: str) -> Response:
        """Give it another definition, whole. Contributors and owners."""
        serializer = ChangeMonitorSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        definition = serializer.validated_data["definition"]
        monitor = services.update_monitor(
            self.get_object(), definition=definition, user=_user(request)
        )
        return Response(MonitorSerializer(monitor).data)

    @extend_schema(operation_id="monitors_delete", responses={204: None})
    def destroy(self, request: Request, uuid: str) -> Response:
        """Remove it, with its evaluations and alerts. Contributors and owners."""
        services.delete_monitor(self.get_object(), user=_user(request))
        return Response(status=204)

    @extend_schema(
        operation_id="monitors_evaluate",
        request=NewEvaluationSerializer,
        responses={201: EvaluationSerializer},
    )
    @action(detail=True, methods=["post"])
    def evaluate(self, request: Request, uuid: str) -> Response:
        """Look at a window of captured requests, as a job. Contributors and owners."""
        monitor = self.get_object()
        serializer = NewEvaluationSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked: dict[str, Any] = dict(serializer.validated_data)
        evaluation = services.launch_evaluation(monitor, user=_user(request), **asked)
        return Response(EvaluationSerializer(evaluation).data, status=201)


class EvaluationViewSet(HouseViewSet[Evaluation]):
    """What looks at captured requests found."""

    scope_noun = "monitors"
    serializer_class = EvaluationSerializer
    lookup_field = "uuid"
    list_spec = EVALUATION_LIST
    queryset = Evaluation.objects.none()

    def get_queryset(self) -> Any:
        user: Any = self.request.user
        rows = Evaluation.objects.visible_to(user).select_related(
            "monitor__endpoint__project", "job"
        )
        return rows.defer("results") if self.action == "list" else rows

    @extend_schema(operation_id="evaluations_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="evaluations_retrieve", responses=EvaluationDetailSerializer)
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(EvaluationDetailSerializer(self.get_object()).data)


class AlertViewSet(HouseViewSet[Alert]):
    """Signals that went past their thresholds."""

    scope_noun = "monitors"
    serializer_class = AlertSerializer
    lookup_field = "uuid"
    list_spec = ALERT_LIST
    queryset = Alert.objects.none()

    def get_queryset(self) -> Any:
        user: Any = self.request.user
        return Alert.objects.visible_to(user).select_related(
            "monitor__endpoint__project", "opened_by"
        )

    @extend_schema(operation_id="alerts_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="alerts_retrieve")
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(AlertSerializer(self.get_object()).data)


def _user(request: Request) -> Any:
    return request.user


def register(router: SimpleRouter) -> None:
    router.register("monitors", MonitorViewSet, basename="monitor")
    router.register("evaluations", EvaluationViewSet, basename="evaluation")
    router.register("alerts", AlertViewSet, basename="alert")
