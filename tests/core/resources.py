"""A small resource on the REST frame, for the frame's own tests."""

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection
from django.urls import include, path, re_path
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from apps.core import problems
from apps.core.errors import Conflict
from apps.core.filters import FilterField
from apps.core.listing import ListSpec
from apps.core.models import IdempotencyKey
from apps.core.viewsets import HouseSerializer, HouseViewSet
from apps.projects.models import Project

handler400 = problems.bad_request
handler404 = problems.page_not_found
handler500 = problems.server_error


class ThingSerializer(HouseSerializer):
    slug = serializers.CharField(max_length=20)
    name = serializers.CharField(max_length=40, default="", allow_blank=True)


class ThingViewSet(ListModelMixin, RetrieveModelMixin, HouseViewSet[Project]):
    scope_noun = "projects"
    required_scopes = {"odd": "jobs:write"}
    secret_actions = frozenset({"secret"})
    waiting_actions = frozenset({"waiting"})
    query_names = {"odd": frozenset({"colour"})}
    serializer_class = ThingSerializer
    lookup_field = "slug"
    queryset = Project.objects.all()
    list_spec = ListSpec(fields={"name": FilterField("text", "name")})

    def create(self, request: Request) -> Response:
        thing = Project.objects.create(**self.valid(request))
        return Response(ThingSerializer(thing).data, status=201)

    @action(detail=False, methods=["post"])
    def secret(self, request: Request) -> Response:
        return Response({"text": "ptl_shown_once"}, status=201)

    @action(detail=False, methods=["post"])
    def waiting(self, request: Request) -> Response:
        return Response({"is_in_transaction": connection.in_atomic_block})

    @action(detail=False, methods=["post"])
    def half(self, request: Request) -> Response:
        self.create(request)
        raise Conflict("The second half is refused. Wait for it.")

    @action(detail=False, methods=["post"])
    def overtaken(self, request: Request) -> Response:
        IdempotencyKey.objects.update(claim=uuid.uuid4())
        return self.create(request)

    @action(detail=False)
    def odd(self, request: Request) -> Response:
        return Response(None)

    @action(detail=False, methods=["post"])
    def bug(self, request: Request) -> Response:
        raise RuntimeError("the database password is hunter2")

    @action(detail=False, methods=["post"])
    def refused(self, request: Request) -> Response:
        self.refuse_body(request)
        raise ValidationError({"name": "It is taken.", "__all__": ["Nothing fits."]})


router = SimpleRouter()
router.register("things", ThingViewSet, basename="thing")
urlpatterns: list[Any] = [
    path("api/v1/", include(router.urls)),
    re_path("^api/", problems.no_such_address),
]
