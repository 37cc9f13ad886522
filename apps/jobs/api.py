"""REST: jobs, their logs, and the checks people launch on a target."""

from dataclasses import asdict
from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from apps.core.viewsets import HouseSerializer, HouseViewSet
from apps.jobs.asking import probe_target
from apps.jobs.lists import JOB_LIST
from apps.jobs.models import Job, JobEvent
from apps.jobs.reading import read_log
from apps.jobs.services import launch_check, request_cancel
from apps.projects.models import Project
from apps.targets.models import Target
from runtime.definitions import CheckSpec


class JobEventSerializer(serializers.ModelSerializer[JobEvent]):
    class Meta:
        model = JobEvent
        fields = ("state", "message", "created_at")
        read_only_fields = fields


class JobSerializer(serializers.ModelSerializer[Job]):
    """A job as it is now. `reachable` false: `state` is what was last known, at `observed_at`."""

    project = serializers.SlugRelatedField[Project](
        slug_field="slug", read_only=True, allow_null=True
    )
    target = serializers.SlugRelatedField[Target](slug_field="slug", read_only=True)
    created_by = serializers.StringRelatedField[Any](read_only=True, allow_null=True)

    class Meta:
        model = Job
        fields = (
            "id", "project", "target", "kind", "label", "state", "message", "reachable", "spec",
            "outputs", "created_by", "created_at", "started_at", "finished_at",
            "cancel_requested_at", "observed_at",
        )  # fmt: skip
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "spec": {"help_text": "What was asked, as the job's kind defines it; no secrets."},
            "outputs": {
                "help_text": "What came of it, by kind; `error` (message, field, step) if it "
                "failed. What it made is better asked for at its own address."
            },
        }

    def to_representation(self, instance: Job) -> dict[str, Any]:
        """By hand: a list of 200 jobs is asked for often."""
        project, created_by = instance.project, instance.created_by
        return {
            "id": str(instance.pk),
            "project": project.slug if project else None,
            "target": instance.target.slug,
            "kind": instance.kind,
            "label": instance.label,
            "state": instance.state,
            "message": instance.message,
            "reachable": instance.reachable,
            "spec": instance.shown_spec,
            "outputs": instance.outputs,
            "created_by": str(created_by) if created_by else None,
            "created_at": instance.created_at,
            "started_at": instance.started_at,
            "finished_at": instance.finished_at,
            "cancel_requested_at": instance.cancel_requested_at,
            "observed_at": instance.observed_at,
        }


class JobDetailSerializer(JobSerializer):
    events = JobEventSerializer(many=True, read_only=True)

    class Meta(JobSerializer.Meta):
        fields = (*JobSerializer.Meta.fields, "events")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    def to_representation(self, instance: Job) -> dict[str, Any]:
        events = JobEventSerializer(instance.events.all(), many=True).data
        return {**super().to_representation(instance), "events": events}


class JobLogSerializer(serializers.Serializer[Any]):
    """A piece of the log. Ask again with `cursor` for what follows; `is_complete` says when the
    job has ended and nothing does."""

    text = serializers.CharField()
    cursor = serializers.IntegerField(min_value=0)
    is_complete = serializers.BooleanField()


class CheckSerializer(HouseSerializer):
    """Launch a check of a target: a confined process that tries what it must not be able to do."""

    project = serializers.SlugField(help_text="Whose check it is: the project's slug.")
    target = serializers.SlugField(default="local", help_text="The target's slug.")
    seconds = serializers.IntegerField(
        default=0, min_value=0, max_value=3600, help_text="How long it goes on reporting, s."
    )
    memory_mb = serializers.IntegerField(
        default=256, min_value=64, max_value=65536, help_text="Its memory limit, MB."
    )


class JobViewSet(HouseViewSet[Job]):
    """Jobs of your projects; those of no project are for site admins."""

    scope_noun = "jobs"
    list_spec = JOB_LIST
    query_names = {"logs": {"cursor"}}
    serializer_class = JobSerializer
    queryset = Job.objects.none()  # for the document; what is asked for is below

    def get_queryset(self) -> Any:
        seen = Job.objects.visible_to(self.request.user)  # type: ignore[arg-type]
        return seen.select_related("project", "target", "created_by")

    @extend_schema(operation_id="jobs_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="jobs_retrieve", responses=JobDetailSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(JobDetailSerializer(self.get_object()).data)

    @extend_schema(operation_id="jobs_cancel", request=None, responses={202: JobDetailSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Ask the job to stop. Its state changes when it has."""
        self.refuse_body(request)
        job = request_cancel(self.get_object(), user=request.user)  # type: ignore[arg-type]
        return Response(JobDetailSerializer(job).data, status=202)

    @extend_schema(
        operation_id="jobs_logs",
        responses=JobLogSerializer,
        parameters=[
            OpenApiParameter(
                "cursor",
                {"type": "integer", "minimum": 0, "maximum": 2**53, "default": 0},
                description="Where to go on, from the answer before.",
            )
        ],
    )
    @action(detail=True, pagination_class=None)
    def logs(self, request: Request, pk: str) -> Response:
        """What the job printed, up to about 256 KB at a time."""
        job = self.get_object()
        piece = read_log(job, cursor=request.query_params.get("cursor", "0"))
        return Response(asdict(piece))


class TargetCheckViewSet(HouseViewSet[Job]):
    """Checks of targets, launched in a project. Contributors and owners may; each is a job."""

    scope_noun = "jobs"
    serializer_class = CheckSerializer

    @extend_schema(
        operation_id="target_checks_create",
        request=CheckSerializer,
        responses={201: JobDetailSerializer},
    )
    def create(self, request: Request) -> Response:
        asked = self.valid(request)
        projects = Project.objects.visible_to(request.user)  # type: ignore[arg-type]
        job = launch_check(
            get_object_or_404(projects, slug=asked["project"]),
            target_slug=asked["target"],
            spec=CheckSpec(seconds=asked["seconds"], memory_mb=asked["memory_mb"]),
            user=request.user,  # type: ignore[arg-type]
        )
        return Response(JobDetailSerializer(job).data, status=201)


class ProbeSerializer(HouseSerializer):
    target = serializers.SlugField(default="local", help_text="The target's slug.")


class AnswerSerializer(serializers.Serializer[Any]):
    """What a confined process there says of itself, topic by topic."""

    target = serializers.SlugField()
    seconds = serializers.FloatField(help_text="How long the answer took, s.")
    answer = serializers.DictField(help_text="By topic.")


class ProbeViewSet(HouseViewSet[Job]):
    """Ask a target, and wait for its answer."""

    scope_noun = "jobs"
    serializer_class = ProbeSerializer
    waiting_actions = frozenset({"create"})

    @extend_schema(
        operation_id="probes_create", request=ProbeSerializer, responses={200: AnswerSerializer}
    )
    def create(self, request: Request) -> Response:
        """What a warm, confined process on the target is and may do. Answers within seconds."""
        asked = self.valid(request)
        user: Any = request.user
        return Response(probe_target(asked["target"], user=user))


def register(router: SimpleRouter) -> None:
    router.register("jobs", JobViewSet, basename="job")
    router.register("probes", ProbeViewSet, basename="probe")
    router.register("target-checks", TargetCheckViewSet, basename="target-check")
