"""REST: pipelines, their versions, previews and runs."""

from typing import Any

from django.db.models import OuterRef, Subquery
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from apps.core.viewsets import HouseSerializer, HouseViewSet
from apps.pipelines import definitions, services
from apps.pipelines.lists import PIPELINE_LIST, PIPELINE_RUN_LIST, PIPELINE_VERSION_LIST
from apps.pipelines.models import Pipeline, PipelineRun, PipelineVersion
from apps.pipelines.previews import preview_step
from apps.pipelines.serializers import (
    ChangePipelineSerializer,
    DiffSerializer,
    LaunchSerializer,
    NewPipelineSerializer,
    NewPipelineVersionSerializer,
    NewPreviewSerializer,
    PipelineRunSerializer,
    PipelineSerializer,
    PipelineVersionSerializer,
    PreviewAnswerSerializer,
    PreviewSerializer,
    WholeRunSerializer,
    WholeVersionSerializer,
)
from apps.projects.models import Role
from apps.projects.services import get_project
from runtime.pipelines.diff import diff, text_of


class PipelineViewSet(HouseViewSet[Pipeline]):
    """What makes datasets of datasets, in your projects."""

    scope_noun = "pipelines"
    serializer_class = PipelineSerializer
    lookup_field = "uuid"
    list_spec = PIPELINE_LIST
    queryset = Pipeline.objects.none()
    waiting_actions = frozenset({"preview"})
    required_scopes = {"preview": "read"}

    def get_queryset(self) -> Any:
        user: Any = self.request.user
        newest = PipelineVersion.objects.filter(pipeline=OuterRef("pk")).order_by("-number")
        return (
            Pipeline.objects.visible_to(user)
            .select_related("project")
            .annotate(
                newest_number=Subquery(newest.values("number")[:1]),
                newest_uuid=Subquery(newest.values("uuid")[:1]),
            )
        )

    @extend_schema(operation_id="pipelines_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="pipelines_retrieve")
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(PipelineSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="pipelines_create",
        request=NewPipelineSerializer,
        responses={201: PipelineSerializer},
    )
    def create(self, request: Request) -> Response:
        """Make a pipeline; its definition becomes version 1. Contributors and owners."""
        user: Any = request.user
        asked = _valid(NewPipelineSerializer, request)
        project = get_project(user, asked.pop("project"), role=Role.CONTRIBUTOR)
        pipeline = definitions.create_pipeline(project, user=user, **asked)
        return Response(PipelineSerializer(self._again(pipeline)).data, status=201)

    def _again(self, pipeline: Pipeline) -> Pipeline:
        again: Pipeline = get_object_or_404(self.get_queryset(), pk=pipeline.pk)
        return again

    @extend_schema(
        operation_id="pipelines_update",
        request=ChangePipelineSerializer,
        responses=PipelineSerializer,
    )
    def partial_update(self, request: Request, uuid: str) -> Response:
        """Change the description. Contributors and owners."""
        user: Any = request.user
        asked = _valid(ChangePipelineSerializer, request)
        pipeline = definitions.update_pipeline(self.get_object(), user=user, **asked)
        return Response(PipelineSerializer(pipeline).data)

    @extend_schema(
        operation_id="pipelines_versions",
        request=NewPipelineVersionSerializer,
        responses={201: PipelineVersionSerializer},
    )
    @action(detail=True, methods=["post"])
    def versions(self, request: Request, uuid: str) -> Response:
        """Give it a new version; the newest there is, if the definition is the same."""
        user: Any = request.user
        asked = _valid(NewPipelineVersionSerializer, request)
        version = definitions.add_version(self.get_object(), user=user, **asked)
        return Response(PipelineVersionSerializer(version).data, status=201)

    @extend_schema(
        operation_id="pipelines_launch",
        request=LaunchSerializer,
        responses={201: PipelineRunSerializer},
    )
    @action(detail=True, methods=["post"])
    def launch(self, request: Request, uuid: str) -> Response:
        """Launch a run. Contributors and owners."""
        user: Any = request.user
        asked = _valid(LaunchSerializer, request)
        run = services.launch_run(self.get_object(), user=user, **asked)
        return Response(PipelineRunSerializer(run).data, status=201)

    @extend_schema(
        operation_id="pipelines_preview",
        request=NewPreviewSerializer,
        responses=PreviewAnswerSerializer,
    )
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """The first rows after a step of a definition that is not saved."""
        user: Any = request.user
        asked = _valid(NewPreviewSerializer, request)
        project = get_project(user, asked.pop("project"))
        asked.setdefault("parameters", {})
        return Response(preview_step(project, user=user, **asked))


class PipelineVersionViewSet(HouseViewSet[PipelineVersion]):
    """Versions of pipelines. They never change."""

    scope_noun = "pipelines"
    serializer_class = PipelineVersionSerializer
    lookup_field = "uuid"
    list_spec = PIPELINE_VERSION_LIST
    queryset = PipelineVersion.objects.none()
    query_names = {"diff": frozenset({"with"})}
    waiting_actions = frozenset({"preview"})
    required_scopes = {"preview": "read"}

    def get_queryset(self) -> Any:
        user: Any = self.request.user
        rows = PipelineVersion.objects.visible_to(user)
        return rows.select_related("pipeline__project", "created_by")

    @extend_schema(operation_id="pipeline_versions_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="pipeline_versions_retrieve", responses=WholeVersionSerializer)
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(WholeVersionSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="pipeline_versions_diff",
        parameters=[
            OpenApiParameter(
                "with",
                OpenApiTypes.INT,
                description="The number of the version to compare with. Left out: the one before.",
            )
        ],
        responses=DiffSerializer,
    )
    @action(detail=True, methods=["get"])
    def diff(self, request: Request, uuid: str) -> Response:
        """What this version changes against another, step by step."""
        version = self.get_object()
        other = _other_version(version, request.query_params.get("with"))
        changes = diff(other.definition, version.definition)
        told = {"old": other.number, "new": version.number, "changes": changes}
        return Response({**told, "text": text_of(changes)})

    @extend_schema(
        operation_id="pipeline_versions_preview",
        request=PreviewSerializer,
        responses=PreviewAnswerSerializer,
    )
    @action(detail=True, methods=["post"])
    def preview(self, request: Request, uuid: str) -> Response:
        """The first rows after a step."""
        user: Any = request.user
        version = self.get_object()
        asked = {"parameters": {}, **_valid(PreviewSerializer, request)}
        project = version.pipeline.project
        return Response(preview_step(project, definition=version.definition, user=user, **asked))


class PipelineRunViewSet(HouseViewSet[PipelineRun]):
    """Runs of the pipelines in your projects."""

    scope_noun = "pipelines"
    serializer_class = PipelineRunSerializer
    lookup_field = "uuid"
    list_spec = PIPELINE_RUN_LIST
    queryset = PipelineRun.objects.none()

    def get_queryset(self) -> Any:
        user: Any = self.request.user
        rows = PipelineRun.objects.visible_to(user)
        return rows.select_related("job", "version__pipeline__project")

    @extend_schema(operation_id="pipeline_runs_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="pipeline_runs_retrieve", responses=WholeRunSerializer)
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(WholeRunSerializer(self.get_object()).data)


def _valid(kind: type[HouseSerializer], request: Request) -> dict[str, Any]:
    serializer = kind(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _other_version(version: PipelineVersion, text: str | None) -> PipelineVersion:
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValidationError({"with": ["Give a version's number."]})
    number = max(version.number - 1, 1) if text is None else int(text)
    found = version.pipeline.versions.filter(number=number).first()
    if found is None:
        raise ValidationError({"with": [f"{version.pipeline.slug} has no version {number}."]})
    return found


def register(router: SimpleRouter) -> None:
    router.register("pipelines", PipelineViewSet, basename="pipeline")
    router.register("pipeline-versions", PipelineVersionViewSet, basename="pipeline-version")
    router.register("pipeline-runs", PipelineRunViewSet, basename="pipeline-run")
