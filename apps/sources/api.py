"""REST: uploads, sources, datasets and their versions."""

from typing import Any

from django.db.models import OuterRef, Subquery
from django.http import UnreadablePostError
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from apps.core.idempotency import run_once
from apps.core.viewsets import HouseViewSet
from apps.jobs.api import JobSerializer
from apps.projects.models import Role
from apps.projects.services import get_project
from apps.sources import services
from apps.sources.lists import DATASET_LIST, DATASET_VERSION_LIST, SOURCE_LIST, UPLOAD_LIST
from apps.sources.models import Dataset, DatasetVersion, Source, Upload
from apps.sources.serializers import (
    ChangeSourceSerializer,
    DatasetSerializer,
    DatasetVersionDetailSerializer,
    DatasetVersionSerializer,
    IngestSerializer,
    NewDatasetSerializer,
    NewSourceSerializer,
    NewUploadSerializer,
    RowsSerializer,
    SourcePreviewSerializer,
    SourceSerializer,
    UploadSerializer,
)
from apps.sources.uploads import DiskHandler, StoredUpload, keep_upload, refuse_large

DEFAULT_ROWS = 20


class UploadViewSet(HouseViewSet[Upload]):
    """Files that were sent to your projects."""

    scope_noun = "sources"
    serializer_class = UploadSerializer
    parser_classes = (MultiPartParser,)
    lookup_field = "uuid"
    list_spec = UPLOAD_LIST
    queryset = Upload.objects.none()

    def get_queryset(self) -> Any:
        return Upload.objects.visible_to(_user(self.request)).select_related("project")

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Request:
        # Before anything reads the body: the session's CSRF check does so first.
        if request.method == "POST":
            self._handler = DiskHandler(request)
            request.upload_handlers = [self._handler]
        return super().initialize_request(request, *args, **kwargs)

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        if handler := getattr(self, "_handler", None):
            handler.close()
        return super().finalize_response(request, response, *args, **kwargs)

    def _once(self, handler: Any, key: str, request: Request, *args: Any, **kw: Any) -> Response:
        files = self._read(request).getlist("file")
        told = [each.sha256 for each in files if isinstance(each, StoredUpload)]
        body = repr([request.data.get("project"), [str(each) for each in files], told])
        return run_once(request, key, lambda: handler(request, *args, **kw), body=body.encode())

    def _read(self, request: Request) -> Any:
        refuse_large(request)
        try:
            return request.data
        except UnreadablePostError:
            raise ParseError("The upload broke off. Send the file again.") from None

    @extend_schema(operation_id="uploads_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="uploads_retrieve")
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(UploadSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="uploads_create",
        request={"multipart/form-data": NewUploadSerializer},
        responses={201: UploadSerializer},
    )
    def create(self, request: Request) -> Response:
        """Send a file, as `multipart/form-data`. Contributors and owners."""
        serializer = NewUploadSerializer(data=self._read(request))
        serializer.is_valid(raise_exception=True)
        asked = serializer.validated_data
        project = get_project(_user(request), asked["project"], role=Role.CONTRIBUTOR)
        upload = keep_upload(project, asked["file"], user=_user(request))
        return Response(UploadSerializer(upload).data, status=201)


class SourceViewSet(HouseViewSet[Source]):
    """Connections, and what to read from them."""

    scope_noun = "sources"
    serializer_class = SourceSerializer
    lookup_field = "uuid"
    list_spec = SOURCE_LIST
    queryset = Source.objects.none()
    waiting_actions = frozenset({"test"})

    def get_queryset(self) -> Any:
        return Source.objects.visible_to(_user(self.request)).select_related("project")

    @extend_schema(operation_id="sources_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="sources_retrieve")
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(SourceSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="sources_create",
        request=NewSourceSerializer,
        responses={201: SourceSerializer},
    )
    def create(self, request: Request) -> Response:
        """Make a source. Contributors and owners."""
        serializer = NewSourceSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked = dict(serializer.validated_data)
        project = get_project(_user(request), asked.pop("project"), role=Role.CONTRIBUTOR)
        source = services.create_source(project, user=_user(request), **asked)
        return Response(SourceSerializer(source).data, status=201)

    @extend_schema(
        operation_id="sources_update",
        request=ChangeSourceSerializer,
        responses=SourceSerializer,
    )
    def partial_update(self, request: Request, uuid: str) -> Response:
        """Change a source. What has been ingested stays as it is."""
        serializer = ChangeSourceSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked = serializer.validated_data
        source = services.update_source(self.get_object(), user=_user(request), **asked)
        return Response(SourceSerializer(source).data)

    @extend_schema(operation_id="sources_delete", responses={204: None})
    def destroy(self, request: Request, uuid: str) -> Response:
        """Remove a source that fills no dataset."""
        services.delete_source(self.get_object(), user=_user(request))
        return Response(status=204)

    @extend_schema(operation_id="sources_test", request=None, responses=SourcePreviewSerializer)
    @action(detail=True, methods=["post"])
    def test(self, request: Request, uuid: str) -> Response:
        """Connect to it, and answer its columns and first 20 rows. Contributors and owners."""
        self.refuse_body(request)
        return Response(services.look_at_source(self.get_object(), user=_user(request)))


class DatasetViewSet(HouseViewSet[Dataset]):
    """Named tables with versions."""

    scope_noun = "sources"
    serializer_class = DatasetSerializer
    lookup_field = "uuid"
    list_spec = DATASET_LIST
    queryset = Dataset.objects.none()

    def get_queryset(self) -> Any:
        latest = DatasetVersion.objects.filter(dataset=OuterRef("pk")).order_by("-number")
        seen = Dataset.objects.visible_to(_user(self.request)).select_related("project", "source")
        return seen.annotate(
            version=Subquery(latest.values("number")[:1]),
            version_uuid=Subquery(latest.values("uuid")[:1]),
        )

    @extend_schema(operation_id="datasets_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="datasets_retrieve")
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(DatasetSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="datasets_create",
        request=NewDatasetSerializer,
        responses={201: DatasetSerializer},
    )
    def create(self, request: Request) -> Response:
        """Name a dataset, filled from a source or, without one, by pipelines."""
        serializer = NewDatasetSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked = dict(serializer.validated_data)
        project = get_project(_user(request), asked.pop("project"), role=Role.CONTRIBUTOR)
        asked["source"] = services.get_source(project, asked.get("source", ""))
        dataset = services.create_dataset(project, user=_user(request), **asked)
        return Response(DatasetSerializer(dataset).data, status=201)

    @extend_schema(
        operation_id="datasets_ingest", request=IngestSerializer, responses={202: JobSerializer}
    )
    @action(detail=True, methods=["post"])
    def ingest(self, request: Request, uuid: str) -> Response:
        """Read its source into its next version, as the job that is answered. Once that has
        succeeded, the dataset's `version_uuid` is the new version."""
        serializer = IngestSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        change = serializer.validated_data["schema_change"]
        dataset = self.get_object()
        job = services.launch_ingest(dataset, schema_change=change, user=_user(request))
        return Response(JobSerializer(job).data, status=202)


class DatasetVersionViewSet(HouseViewSet[DatasetVersion]):
    """Versions of datasets: never changed, readable for good."""

    scope_noun = "sources"
    serializer_class = DatasetVersionSerializer
    lookup_field = "uuid"
    list_spec = DATASET_VERSION_LIST
    queryset = DatasetVersion.objects.none()
    query_names = {"rows": frozenset({"limit", "where"})}

    def get_queryset(self) -> Any:
        seen = DatasetVersion.objects.visible_to(_user(self.request))
        if self.action != "retrieve":
            seen = seen.defer("profile")
        return seen.select_related("dataset__project")

    @extend_schema(operation_id="dataset_versions_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(
        operation_id="dataset_versions_retrieve", responses=DatasetVersionDetailSerializer
    )
    def retrieve(self, request: Request, uuid: str) -> Response:
        """One version, with its profile."""
        return Response(DatasetVersionDetailSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="dataset_versions_rows",
        parameters=[
            OpenApiParameter("limit", int, description="1 to 1,000 rows; 20 if left out."),
            OpenApiParameter(
                "where",
                str,
                many=True,
                description="`column=value`, once for each column that must have a value. Nothing "
                "after the sign means null.",
            ),
        ],
        responses=RowsSerializer,
    )
    @action(detail=True, methods=["get"])
    def rows(self, request: Request, uuid: str) -> Response:
        """Its first rows, or the first of those whose columns have the values asked for."""
        version = self.get_object()
        where = _where(request.query_params.getlist("where"))
        limit = _limit(request.query_params.get("limit"))
        return Response(services.read_rows(version, limit=limit, where=where, user=_user(request)))


def _user(request: Request) -> Any:
    return request.user


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_ROWS
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise ValidationError({"limit": ["Ask for 1 to 1,000 rows."]})
    return int(text)


def _where(parts: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in parts:
        name, sign, value = part.partition("=")
        if not sign or name in found or "\0" in part or len(part) > 2000:
            raise ValidationError({"where": ["Write column=value, once for each column."]})
        found[name] = value
    return found


def register(router: SimpleRouter) -> None:
    router.register("uploads", UploadViewSet, basename="upload")
    router.register("sources", SourceViewSet, basename="source")
    router.register("datasets", DatasetViewSet, basename="dataset")
    router.register("dataset-versions", DatasetVersionViewSet, basename="dataset-version")
