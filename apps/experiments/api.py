"""REST: experiments, their runs, and what runs left."""

from typing import Any
from urllib.parse import quote

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from apps.core.fields import SLUG_TEXT, document_text
from apps.core.viewsets import HouseSerializer, HouseViewSet
from apps.experiments import services
from apps.experiments.lists import EXPERIMENT_LIST, RUN_LIST, ordered_runs
from apps.experiments.models import Artifact, Experiment, Run
from apps.experiments.reading import (
    MAX_COMPARED,
    compare_runs,
    find_artifact,
    last_metrics,
    metric_series,
    read_pieces,
    read_report,
    with_values,
)
from apps.jobs.models import State
from apps.projects.models import Project, Role
from apps.projects.services import get_project

# What was trained on may be anybody's: a browser must run nothing of it.
SANDBOX = "sandbox; default-src 'none'"
DEFINITION = document_text(
    "training",
    "A training document: `dataset`, `target`, `task`, `algorithm`, and how rows are split.",
)
SPECS = document_text("training", "Training documents to keep, by name; they replace those kept.")


class ExperimentSerializer(serializers.ModelSerializer[Experiment]):
    project = serializers.SlugRelatedField[Project](slug_field="slug", read_only=True)
    specs = serializers.DictField(
        child=serializers.JSONField(),
        read_only=True,
        help_text=document_text("training", "Training documents kept, by name."),
    )

    class Meta:
        model = Experiment
        fields = ("uuid", "project", "slug", "description", "specs", "created_at")
        read_only_fields = fields


class ChangeExperimentSerializer(HouseSerializer):
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    specs = serializers.DictField(
        child=serializers.JSONField(),
        required=False,
        help_text=SPECS,
    )


class NewExperimentSerializer(ChangeExperimentSerializer):
    project = serializers.SlugField(help_text="The project's slug.")
    slug = serializers.CharField(max_length=80, help_text=SLUG_TEXT)


class RunSerializer(serializers.ModelSerializer[Run]):
    """A run; its state is its job's. `metrics` are the newest values."""

    project = serializers.CharField(source="experiment.project.slug", read_only=True)
    experiment = serializers.CharField(source="experiment.slug", read_only=True)
    job = serializers.UUIDField(source="job_id", read_only=True)
    state = serializers.ChoiceField(State.choices, source="job.state", read_only=True)
    message = serializers.CharField(source="job.message", read_only=True)
    dataset = serializers.CharField(source="dataset_version.dataset.slug", read_only=True)
    dataset_version = serializers.SlugRelatedField[Any](slug_field="uuid", read_only=True)
    version = serializers.IntegerField(source="dataset_version.number", read_only=True)
    metrics = serializers.SerializerMethodField()
    tags = serializers.SerializerMethodField()
    created_by = serializers.StringRelatedField[Any](read_only=True, allow_null=True)
    started_at = serializers.DateTimeField(source="job.started_at", read_only=True, allow_null=True)
    finished_at = serializers.DateTimeField(
        source="job.finished_at", read_only=True, allow_null=True
    )

    class Meta:
        model = Run
        fields: tuple[str, ...] = (
            "uuid", "project", "experiment", "name", "job", "state", "message", "dataset",
            "dataset_version", "version", "seed", "metrics", "tags", "created_by", "created_at",
            "started_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_metrics(self, run: Run) -> dict[str, float]:
        return {each.key: each.value for each in last_metrics(run)}

    def get_tags(self, run: Run) -> dict[str, str]:
        return {each.key: each.value for each in run.tags.all()}


class RunDetailSerializer(RunSerializer):
    params = serializers.SerializerMethodField()
    definition = serializers.DictField(
        child=serializers.JSONField(),
        read_only=True,
        help_text=document_text("training", "The training document, as pinned."),
    )
    packages = serializers.DictField(child=serializers.CharField(), read_only=True)

    class Meta(RunSerializer.Meta):
        fields = (*RunSerializer.Meta.fields, "params", "definition", "packages", "code_digest")
        read_only_fields = fields

    def get_params(self, run: Run) -> dict[str, str]:
        return {each.key: each.value for each in run.params.all()}


class NewRunSerializer(HouseSerializer):
    project = serializers.SlugField(help_text="The project's slug.")
    experiment = serializers.SlugField(help_text="The experiment's slug.")
    name = serializers.CharField(
        max_length=120, required=False, allow_blank=True, help_text="Left out, the algorithm's."
    )
    definition = serializers.DictField(help_text=DEFINITION)


class ChangeRunSerializer(HouseSerializer):
    tags = serializers.DictField(
        child=serializers.CharField(allow_null=True, allow_blank=True, max_length=5000),
        help_text="Tags to set; null removes one. Others stay.",
    )


class CompareSerializer(HouseSerializer):
    runs = serializers.ListField(
        child=serializers.UUIDField(), min_length=1, max_length=MAX_COMPARED
    )


class ComparisonSerializer(serializers.Serializer[Any]):
    """A value for each run, in the order asked for; null where a run has none."""

    runs = RunSerializer(many=True)
    params = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField(allow_null=True)),
        help_text="Only those that differ.",
    )
    metrics = serializers.DictField(
        child=serializers.ListField(child=serializers.FloatField(allow_null=True))
    )


class SeriesSerializer(serializers.Serializer[Any]):
    """`[step, value]` pairs in order, by metric."""

    series = serializers.DictField(
        child=serializers.ListField(
            child=serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2)
        )
    )


class ArtifactSerializer(serializers.ModelSerializer[Artifact]):
    class Meta:
        model = Artifact
        fields = ("path", "size_bytes", "sha256")
        read_only_fields = fields


class ArtifactsSerializer(serializers.Serializer[Any]):
    artifacts = ArtifactSerializer(many=True)


class ExperimentViewSet(HouseViewSet[Experiment]):
    """Questions, and the runs that try to answer them."""

    scope_noun = "experiments"
    serializer_class = ExperimentSerializer
    lookup_field = "uuid"
    list_spec = EXPERIMENT_LIST
    queryset = Experiment.objects.none()

    def get_queryset(self) -> Any:
        user: Any = self.request.user
        return Experiment.objects.visible_to(user).select_related("project")

    @extend_schema(operation_id="experiments_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="experiments_retrieve")
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(ExperimentSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="experiments_create",
        request=NewExperimentSerializer,
        responses={201: ExperimentSerializer},
    )
    def create(self, request: Request) -> Response:
        """Make an experiment in a project. Contributors and owners may."""
        serializer = NewExperimentSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked = dict(serializer.validated_data)
        user: Any = request.user
        project = get_project(user, asked.pop("project"), role=Role.CONTRIBUTOR)
        experiment = services.create_experiment(project, user=user, **asked)
        return Response(ExperimentSerializer(experiment).data, status=201)

    @extend_schema(
        operation_id="experiments_update",
        request=ChangeExperimentSerializer,
        responses=ExperimentSerializer,
    )
    def partial_update(self, request: Request, uuid: str) -> Response:
        """Change description or kept definitions. Contributors and owners may."""
        serializer = ChangeExperimentSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user: Any = request.user
        changed = services.update_experiment(
            self.get_object(), user=user, **serializer.validated_data
        )
        return Response(ExperimentSerializer(changed).data)


class RunViewSet(HouseViewSet[Run]):
    """Trainings, and what they came to."""

    scope_noun = "experiments"
    required_scopes = {"compare": "read"}
    query_names = {"list": {"order"}, "metrics": {"key"}, "download": {"path"}}
    serializer_class = RunSerializer
    lookup_field = "uuid"
    list_spec = RUN_LIST
    queryset = Run.objects.none()

    def get_queryset(self) -> Any:
        user: Any = self.request.user
        return with_values(Run.objects.visible_to(user))

    @extend_schema(
        operation_id="runs_list",
        parameters=[
            OpenApiParameter(
                "order",
                {"type": "string", "maxLength": 300},
                description="`metrics.<key>`, or `-metrics.<key>` for the largest first.",
            )
        ],
    )
    def list(self, request: Request) -> Response:
        """Newest first, or by a metric; `metrics.<key>` is a field of the filter, too."""
        rows, spec = ordered_runs(self.get_queryset(), request.query_params.get("order", ""))
        setattr(self, "list_spec", spec)  # noqa: B010  (this request's own)
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(RunSerializer(page, many=True).data)

    @extend_schema(operation_id="runs_retrieve", responses=RunDetailSerializer)
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(RunDetailSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="runs_create",
        request=NewRunSerializer,
        responses={201: RunDetailSerializer},
    )
    def create(self, request: Request) -> Response:
        """Train a model. Contributors and owners may."""
        serializer = NewRunSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked = dict(serializer.validated_data)
        user: Any = request.user
        project = get_project(user, asked.pop("project"), role=Role.CONTRIBUTOR)
        experiment = services.get_experiment(project, asked.pop("experiment"))
        run = services.launch_run(experiment, user=user, **asked)
        return Response(RunDetailSerializer(run).data, status=201)

    @extend_schema(
        operation_id="runs_update", request=ChangeRunSerializer, responses=RunDetailSerializer
    )
    def partial_update(self, request: Request, uuid: str) -> Response:
        """Set or remove tags. Contributors and owners may."""
        serializer = ChangeRunSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user: Any = request.user
        services.set_tags(self.get_object(), user=user, **serializer.validated_data)
        return Response(RunDetailSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="runs_metrics",
        responses=SeriesSerializer,
        parameters=[OpenApiParameter("key", {"type": "string", "maxLength": 250})],
    )
    @action(detail=True, pagination_class=None)
    def metrics(self, request: Request, uuid: str) -> Response:
        """A metric over its steps; every metric's without a key."""
        series = metric_series(self.get_object(), request.query_params.get("key", ""))
        return Response({"series": series})

    @extend_schema(operation_id="runs_artifacts", responses=ArtifactsSerializer)
    @action(detail=True, pagination_class=None)
    def artifacts(self, request: Request, uuid: str) -> Response:
        """The files the run left, with their hashes."""
        files = ArtifactSerializer(self.get_object().artifacts.all(), many=True)
        return Response({"artifacts": files.data})

    @extend_schema(
        operation_id="runs_download",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
        parameters=[
            OpenApiParameter("path", {"type": "string", "maxLength": 500}, required=True),
        ],
    )
    @action(detail=True, url_path="artifacts/download", pagination_class=None)
    def download(self, request: Request, uuid: str) -> StreamingHttpResponse:
        """One of the run's files, streamed."""
        path = request.query_params.get("path", "")
        artifact, file, size = find_artifact(self.get_object(), path)
        name = artifact.path.rpartition("/")[2]
        answer = StreamingHttpResponse(read_pieces(file), content_type="application/octet-stream")
        answer["Content-Length"] = str(size)
        answer["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name)}"
        answer["Content-Security-Policy"] = SANDBOX
        answer["X-Content-Type-Options"] = "nosniff"
        answer["ETag"] = f'"{artifact.sha256}"'
        return answer

    @extend_schema(
        operation_id="runs_reports",
        responses=OpenApiTypes.OBJECT,
        parameters=[
            OpenApiParameter("name", {"type": "string", "pattern": "^[a-z][a-z_]{0,40}$"}, "path")
        ],
    )
    @action(detail=True, url_path="reports/(?P<name>[a-z][a-z_]{0,40})", pagination_class=None)
    def reports(self, request: Request, uuid: str, name: str) -> Response:
        """What a chart is drawn from: confusion, roc, pr, calibration, importance, residuals."""
        return Response(read_report(self.get_object(), name))

    @extend_schema(
        operation_id="runs_compare", request=CompareSerializer, responses=ComparisonSerializer
    )
    @action(detail=False, methods=["post"], pagination_class=None)
    def compare(self, request: Request) -> Response:
        """Runs side by side: only the params that differ, and every metric."""
        serializer = CompareSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked = list(dict.fromkeys(serializer.validated_data["runs"]))
        found = {run.uuid: run for run in self.get_queryset().filter(uuid__in=asked)}
        for uuid in asked:
            if uuid not in found:
                get_object_or_404(self.get_queryset(), uuid=uuid)
        told = compare_runs([found[uuid] for uuid in asked])
        return Response(ComparisonSerializer(told).data)


def register(router: SimpleRouter) -> None:
    router.register("experiments", ExperimentViewSet, basename="experiment")
    router.register("runs", RunViewSet, basename="run")
