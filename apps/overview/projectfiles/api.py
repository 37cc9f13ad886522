"""REST: project files, and the JSON Schemas of every document."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from apps.core.errors import NotHere
from apps.core.fields import document_text
from apps.core.viewsets import HouseSerializer, HouseViewSet
from apps.overview.projectfiles import services
from apps.overview.projectfiles.reading import MAX_BYTES, read_project
from apps.projects.models import Project
from runtime.documents.base import Document, json_schema
from runtime.documents.endpoint import EndpointDocument
from runtime.documents.model import PolicyDocument
from runtime.documents.monitor import MonitorDocument
from runtime.documents.pipeline import PipelineDocument
from runtime.documents.project import ProjectDocument
from runtime.documents.schedule import ScheduleDocument
from runtime.documents.source import SourceDocument
from runtime.documents.training import TrainingDocument

SCHEMAS: dict[str, type[Document]] = {
    "endpoint": EndpointDocument,
    "monitor": MonitorDocument,
    "pipeline": PipelineDocument,
    "policy": PolicyDocument,
    "project": ProjectDocument,
    "schedule": ScheduleDocument,
    "source": SourceDocument,
    "training": TrainingDocument,
}
NAMES = {"type": "string", "enum": list(SCHEMAS), "pattern": f"^({'|'.join(SCHEMAS)})$"}


class ProjectFileSerializer(HouseSerializer):
    document = serializers.CharField(
        max_length=MAX_BYTES,
        trim_whitespace=False,
        help_text=document_text("project", "The project file, as a text of YAML or JSON."),
    )
    remove = serializers.BooleanField(
        default=False,
        help_text="Also remove sources, monitors and schedules that the file does not name.",
    )


class StepSerializer(serializers.Serializer[Any]):
    action = serializers.ChoiceField(["create", "change", "remove", "keep", "extra"])
    kind = serializers.CharField(source="noun")
    slug = serializers.CharField()
    diff = serializers.CharField(help_text="A unified diff of YAML, from now to then.")


class PlanSerializer(serializers.Serializer[Any]):
    project = serializers.CharField(source="slug")
    changes_something = serializers.BooleanField()
    steps = StepSerializer(many=True)


class ExportSerializer(serializers.Serializer[Any]):
    project = serializers.CharField()
    document = serializers.CharField(help_text="YAML, to be applied here or elsewhere.")


class SchemaSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    schema = serializers.DictField(help_text="JSON Schema, 2020-12.")


class ProjectFileViewSet(HouseViewSet[Project]):
    """A whole project as one document: plan what a file would do, apply it, export it."""

    scope_noun = "projects"
    serializer_class = ProjectFileSerializer
    lookup_field = "slug"
    queryset = Project.objects.none()
    required_scopes = {"plan": "read"}

    def get_queryset(self) -> Any:
        user: Any = self.request.user
        return Project.objects.visible_to(user)

    @extend_schema(operation_id="project_files_retrieve", responses=ExportSerializer)
    def retrieve(self, request: Request, slug: str) -> Response:
        """The project's definitions as YAML: no rows, no versions, no secrets."""
        user: Any = request.user
        text = services.export_yaml(self.get_object(), user=user)
        return Response({"project": slug, "document": text})

    @extend_schema(
        operation_id="project_files_plan", request=ProjectFileSerializer, responses=PlanSerializer
    )
    @action(detail=False, methods=["post"])
    def plan(self, request: Request) -> Response:
        """What applying the file would do, without doing it."""
        return self._answer(request, services.plan_project)

    @extend_schema(
        operation_id="project_files_apply", request=ProjectFileSerializer, responses=PlanSerializer
    )
    @action(detail=False, methods=["post"])
    def apply(self, request: Request) -> Response:
        """Make the project what the file says, all or nothing. Launches nothing."""
        return self._answer(request, services.apply_project)

    def _answer(self, request: Request, does: Any) -> Response:
        asked = self.valid(request)
        document = read_project(asked["document"])
        plan = does(document, user=request.user, removes=asked["remove"])
        return Response(PlanSerializer(plan).data)


class DocumentSchemaViewSet(HouseViewSet[Project]):
    """The JSON Schema of each kind of document: what forms edit, REST takes and files hold."""

    scope_noun = "projects"
    serializer_class = SchemaSerializer
    lookup_field = "name"
    queryset = Project.objects.none()

    @extend_schema(
        operation_id="document_schemas_retrieve",
        responses=SchemaSerializer,
        parameters=[OpenApiParameter("name", NAMES, "path", description="The kind of document.")],
    )
    def retrieve(self, request: Request, name: str) -> Response:
        if name not in SCHEMAS:
            raise NotHere(f"There is no such kind of document. Kinds: {', '.join(SCHEMAS)}.")
        return Response({"name": name, "schema": json_schema(SCHEMAS[name])})


def register(router: SimpleRouter) -> None:
    router.register("project-files", ProjectFileViewSet, basename="project-file")
    router.register("document-schemas", DocumentSchemaViewSet, basename="document-schema")
