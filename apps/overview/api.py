"""REST: backups of the portal."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from apps.core.viewsets import HouseSerializer, HouseViewSet
from apps.jobs.models import State
from apps.overview.lists import BACKUP_LIST
from apps.overview.models import Backup
from apps.overview.projectfiles import api as projectfiles
from apps.overview.services import back_up_portal


class BackupSerializer(serializers.ModelSerializer[Backup]):
    """A backup; `state` is its job's, and the figures are there once it has succeeded."""

    job = serializers.UUIDField(source="job_id", read_only=True)
    state = serializers.ChoiceField(State.choices, source="job.state", read_only=True)
    message = serializers.CharField(source="job.message", read_only=True)
    created_at = serializers.DateTimeField(source="job.created_at", read_only=True)
    finished_at = serializers.DateTimeField(
        source="job.finished_at", read_only=True, allow_null=True
    )

    class Meta:
        model = Backup
        fields = (
            "uuid", "job", "state", "message", "archive", "size_bytes", "sha256", "row_count",
            "key_fingerprint", "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields


class NewBackupSerializer(HouseSerializer):
    include_lake = serializers.BooleanField(
        default=True, help_text="Also the datasets' files, not only the rows."
    )


class BackupViewSet(HouseViewSet[Backup]):
    """Backups of the whole portal. Site admins only."""

    scope_noun = "jobs"
    list_spec = BACKUP_LIST
    serializer_class = BackupSerializer
    lookup_field = "uuid"
    queryset = Backup.objects.select_related("job")

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        user: Any = request.user
        if not user.is_site_admin:
            raise PermissionDenied("Only a site admin can see and make backups.")

    @extend_schema(operation_id="backups_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="backups_retrieve")
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(BackupSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="backups_create",
        request=NewBackupSerializer,
        responses={201: BackupSerializer},
    )
    def create(self, request: Request) -> Response:
        serializer = NewBackupSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user: Any = request.user
        backup = back_up_portal(user, include_lake=serializer.validated_data["include_lake"])
        return Response(BackupSerializer(backup).data, status=201)


def register(router: SimpleRouter) -> None:
    router.register("backups", BackupViewSet, basename="backup")
    projectfiles.register(router)
