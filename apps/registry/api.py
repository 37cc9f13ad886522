"""REST: models, their versions, approvals and aliases."""

import datetime as dt
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from apps.core.viewsets import HouseViewSet
from apps.experiments.models import Run
from apps.projects.models import Role
from apps.projects.services import get_project
from apps.registry import services
from apps.registry.aliases import aliases_at, remove_alias, set_alias
from apps.registry.approvals import approve, reject
from apps.registry.lists import MODEL_LIST, VERSION_LIST
from apps.registry.models import Model, ModelVersion
from apps.registry.serializers import (
    AliasSerializer,
    ApprovalSerializer,
    ChangeModelSerializer,
    HistorySerializer,
    ModelSerializer,
    NewModelSerializer,
    NewVersionSerializer,
    ReasonSerializer,
    RemovedAliasSerializer,
    VersionDetailSerializer,
    VersionSerializer,
)

MOST_CHANGES = 200
WHEN = OpenApiParameter(
    "at",
    {"type": "string", "format": "date"},
    description="A day (as it was at its end, UTC), or an ISO 8601 time. Left out: now.",
)


class ModelViewSet(HouseViewSet[Model]):
    """Models: names under which versions are registered, approved and served."""

    scope_noun = "models"
    serializer_class = ModelSerializer
    lookup_field = "uuid"
    list_spec = MODEL_LIST
    query_names = {"history": {"at"}}
    queryset = Model.objects.none()

    def get_queryset(self) -> Any:
        user: Any = self.request.user
        seen = Model.objects.visible_to(user).select_related("project")
        return seen.prefetch_related("aliases__version")

    @extend_schema(operation_id="models_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="models_retrieve")
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(ModelSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="models_create", request=NewModelSerializer, responses={201: ModelSerializer}
    )
    def create(self, request: Request) -> Response:
        """Make a model. With a policy, owners only."""
        serializer = NewModelSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked = dict(serializer.validated_data)
        user: Any = request.user
        project = get_project(user, asked.pop("project"))
        model = services.create_model(project, user=user, **asked)
        return Response(ModelSerializer(model).data, status=201)

    @extend_schema(
        operation_id="models_update", request=ChangeModelSerializer, responses=ModelSerializer
    )
    def partial_update(self, request: Request, uuid: str) -> Response:
        """Change description or policy. Owners only."""
        serializer = ChangeModelSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user: Any = request.user
        model = services.update_model(self.get_object(), user=user, **serializer.validated_data)
        return Response(ModelSerializer(model).data)

    @extend_schema(
        operation_id="models_aliases_set", request=AliasSerializer, responses=ModelSerializer
    )
    @action(detail=True, methods=["post"])
    def aliases(self, request: Request, uuid: str) -> Response:
        """Point an alias at a version. `champion` is for owners, and for approved versions."""
        serializer = AliasSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked, model = serializer.validated_data, self.get_object()
        user: Any = request.user
        version = ModelVersion.objects.visible_to(user).filter(uuid=asked["version"]).first()
        if version is None:
            raise ValidationError({"version": "There is no such version. See the model's."})
        set_alias(model, name=asked["name"], version=version, user=user)
        return Response(ModelSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="models_aliases_remove",
        request=RemovedAliasSerializer,
        responses=ModelSerializer,
    )
    @action(detail=True, methods=["post"], url_path="aliases/remove")
    def aliases_remove(self, request: Request, uuid: str) -> Response:
        """Take an alias away."""
        serializer = RemovedAliasSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user: Any = request.user
        remove_alias(self.get_object(), name=serializer.validated_data["name"], user=user)
        return Response(ModelSerializer(self.get_object()).data)

    @extend_schema(operation_id="models_history", responses=HistorySerializer, parameters=[WHEN])
    @action(detail=True, pagination_class=None)
    def history(self, request: Request, uuid: str) -> Response:
        """What each alias pointed to at a time, and the changes up to then, newest first."""
        model, at = self.get_object(), read_moment(request.query_params.get("at"))
        changes = model.alias_changes.filter(changed_at__lte=at)
        newest = changes.select_related("version", "changed_by")[:MOST_CHANGES]
        pointers = [as_dict(each) for each in aliases_at(model, at)]
        answer = {"at": at, "aliases": pointers, "changes": newest}
        return Response(HistorySerializer(answer).data)


def as_dict(pointer: Any) -> dict[str, Any]:
    return {name: getattr(pointer, name) for name in pointer.__dataclass_fields__}


def read_moment(text: str | None) -> dt.datetime:
    """A day's end or a time, in UTC unless it says otherwise. Raise ValidationError."""
    if text is None:
        return timezone.now()
    try:
        moment = parse_datetime(text) if len(text) > 10 else None
        day = parse_date(text) if moment is None else None
        if day is not None:
            moment = dt.datetime.combine(day, dt.time.max)
        if moment is not None:
            aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
            return aware.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        pass
    raise ValidationError({"at": "Write a day such as 2026-11-24, or an ISO 8601 time."})


class ModelVersionViewSet(HouseViewSet[ModelVersion]):
    """Registered versions of models. A version is ready when its job has succeeded."""

    scope_noun = "models"
    serializer_class = VersionSerializer
    lookup_field = "uuid"
    list_spec = VERSION_LIST
    queryset = ModelVersion.objects.none()

    def get_queryset(self) -> Any:
        user: Any = self.request.user
        seen = ModelVersion.objects.visible_to(user).select_related(
            "model__project", "run__experiment", "run__dataset_version__dataset", "job",
            "created_by",
        )  # fmt: skip
        return seen.prefetch_related("aliases")

    @extend_schema(operation_id="model_versions_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="model_versions_retrieve", responses=VersionDetailSerializer)
    def retrieve(self, request: Request, uuid: str) -> Response:
        """A version with its signature, files, approvals and what it stands on."""
        return Response(VersionDetailSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="model_versions_create",
        request=NewVersionSerializer,
        responses={201: VersionDetailSerializer},
    )
    def create(self, request: Request) -> Response:
        """Register a run's model as the next version. Its package is made by a job."""
        serializer = NewVersionSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked = serializer.validated_data
        user: Any = request.user
        project = get_project(user, asked["project"], role=Role.CONTRIBUTOR)
        model = Model.objects.filter(project=project, slug=asked["model"]).first()
        if model is None:
            text = f"{project.name} has no model “{asked['model']}”. Make it first."
            raise ValidationError({"model": text})
        runs = Run.objects.visible_to(user).select_related("job", "experiment")
        run = runs.filter(uuid=asked["run"]).first()
        if run is None:
            raise ValidationError({"run": "There is no such run. See the experiment's."})
        version = services.register_version(model, run=run, user=user)
        found = self.get_queryset().get(pk=version.pk)
        return Response(VersionDetailSerializer(found).data, status=201)

    @extend_schema(
        operation_id="model_versions_approve",
        request=ReasonSerializer,
        responses=ApprovalSerializer,
    )
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, uuid: str) -> Response:
        """Approve it, if the model's policy holds. Owners only."""
        return self._decided(request, approve)

    @extend_schema(
        operation_id="model_versions_reject",
        request=ReasonSerializer,
        responses=ApprovalSerializer,
    )
    @action(detail=True, methods=["post"])
    def reject(self, request: Request, uuid: str) -> Response:
        """Reject it, even if it was approved. Owners only."""
        return self._decided(request, reject)

    def _decided(self, request: Request, decide: Any) -> Response:
        serializer = ReasonSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        reason = serializer.validated_data["reason"]
        approval = decide(self.get_object(), reason=reason, user=request.user)
        return Response(ApprovalSerializer(approval).data)


def register(router: SimpleRouter) -> None:
    router.register("models", ModelViewSet, basename="model")
    router.register("model-versions", ModelVersionViewSet, basename="model-version")
