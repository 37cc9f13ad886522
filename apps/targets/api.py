"""REST: targets, for everybody to see and for site admins to pause and resume."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from apps.core.filters import FilterField
from apps.core.listing import ListSpec
from apps.core.viewsets import HouseViewSet
from apps.targets.models import Desired, Observed, Target
from apps.targets.services import set_desired


class TargetSerializer(serializers.ModelSerializer[Target]):
    """`desired` is what was asked for, `observed` what was last seen, at `observed_at`."""

    class Meta:
        model = Target
        fields = (
            "slug", "name", "engine", "desired", "observed", "message", "facts", "observed_at",
            "created_at",
        )  # fmt: skip
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "facts": {"help_text": "What the last check found there, by topic."}
        }


class TargetViewSet(HouseViewSet[Target]):
    """Where work runs. The first is this machine."""

    scope_noun = "targets"
    serializer_class = TargetSerializer
    queryset = Target.objects.all()
    lookup_field = "slug"
    list_spec = ListSpec(
        fields={
            "name": FilterField("text", "name"),
            "engine": FilterField("text", "engine"),
            "desired": FilterField("choice", "desired", tuple(Desired.values)),
            "observed": FilterField("choice", "observed", tuple(Observed.values)),
        },
        order="name",
        tie="id",
    )

    @extend_schema(operation_id="targets_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="targets_retrieve")
    def retrieve(self, request: Request, slug: str) -> Response:
        return Response(TargetSerializer(self.get_object()).data)

    @extend_schema(operation_id="targets_pause", request=None)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, slug: str) -> Response:
        """Give the target no new work. What runs there goes on."""
        return self._set(request, Desired.PAUSED)

    @extend_schema(operation_id="targets_resume", request=None)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, slug: str) -> Response:
        """Let the target have work again; what waited starts."""
        return self._set(request, Desired.ACTIVE)

    def _set(self, request: Request, desired: Desired) -> Response:
        self.refuse_body(request)
        user: Any = request.user
        target = set_desired(self.get_object(), desired=desired, user=user)
        return Response(TargetSerializer(target).data)


def register(router: SimpleRouter) -> None:
    router.register("targets", TargetViewSet, basename="target")
