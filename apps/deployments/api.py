"""REST: endpoints, releases, keys, and the changes of their routes."""

from typing import Any

from django.core.exceptions import ValidationError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from apps.core.viewsets import HouseViewSet
from apps.deployments import routing, services
from apps.deployments.lists import CHANGE_LIST, ENDPOINT_LIST, KEY_LIST, RELEASE_LIST
from apps.deployments.models import Endpoint, EndpointKey, Release, RouteChange
from apps.deployments.openapi import describe_endpoint
from apps.deployments.serializers import (
    BackSerializer,
    ChangeEndpointSerializer,
    ChangeSerializer,
    EndpointSerializer,
    KeySerializer,
    KeyWithTextSerializer,
    NewEndpointSerializer,
    NewKeySerializer,
    NewReleaseSerializer,
    ReleaseSerializer,
    WeightsSerializer,
)
from apps.projects.models import Role
from apps.projects.services import get_project
from apps.registry.models import ModelVersion


def _user(request: Request) -> Any:
    return request.user


def _read(serializer_class: Any, request: Request) -> dict[str, Any]:
    serializer = serializer_class(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


class EndpointViewSet(HouseViewSet[Endpoint]):
    """Endpoints: addresses at which models answer."""

    scope_noun = "endpoints"
    serializer_class = EndpointSerializer
    lookup_field = "uuid"
    list_spec = ENDPOINT_LIST
    queryset = Endpoint.objects.none()

    def get_queryset(self) -> Any:
        seen = Endpoint.objects.visible_to(_user(self.request))
        related = seen.select_related("project", "model", "target")
        return related.prefetch_related(
            "releases__version", "releases__created_by", "releases__endpoint__project"
        )

    @extend_schema(operation_id="endpoints_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="endpoints_retrieve")
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(EndpointSerializer(self.get_object()).data)

    @extend_schema(operation_id="endpoints_schema", responses=OpenApiTypes.OBJECT)
    @action(detail=True, methods=["get"], url_path="schema", pagination_class=None)
    def reference(self, request: Request, uuid: str) -> Response:
        """How to call it: an OpenAPI 3.1 document of its address, its rows and its answers."""
        return Response(describe_endpoint(self.get_object()))

    @extend_schema(
        operation_id="endpoints_create",
        request=NewEndpointSerializer,
        responses={201: EndpointSerializer},
    )
    def create(self, request: Request) -> Response:
        """Make an endpoint. Contributors and owners. It answers once a release has traffic."""
        asked = _read(NewEndpointSerializer, request)
        project = get_project(_user(request), asked.pop("project"), role=Role.CONTRIBUTOR)
        endpoint = services.create_endpoint(project, user=_user(request), **asked)
        return Response(EndpointSerializer(endpoint).data, status=201)

    @extend_schema(
        operation_id="endpoints_update",
        request=ChangeEndpointSerializer,
        responses=EndpointSerializer,
    )
    def partial_update(self, request: Request, uuid: str) -> Response:
        """Change the definition, whole, or the description. Contributors and owners."""
        asked = _read(ChangeEndpointSerializer, request)
        services.update_endpoint(self.get_object(), user=_user(request), **asked)
        return Response(EndpointSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="endpoints_weights",
        request=WeightsSerializer,
        responses={202: ChangeSerializer},
    )
    @action(detail=True, methods=["post"])
    def weights(self, request: Request, uuid: str) -> Response:
        """Split the traffic between releases. Applied once the answer's job has succeeded."""
        asked = _read(WeightsSerializer, request)
        change = routing.set_weights(self.get_object(), user=_user(request), **asked)
        return Response(ChangeSerializer(change).data, status=202)

    @extend_schema(
        operation_id="endpoints_roll_back",
        request=BackSerializer,
        responses={202: ChangeSerializer},
    )
    @action(detail=True, methods=["post"], url_path="roll-back")
    def roll_back(self, request: Request, uuid: str) -> Response:
        """Go back to the weights before the last change of them."""
        asked = _read(BackSerializer, request)
        change = routing.roll_back(self.get_object(), user=_user(request), **asked)
        return Response(ChangeSerializer(change).data, status=202)


class ReleaseViewSet(HouseViewSet[Release]):
    """Releases: model versions on endpoints."""

    scope_noun = "endpoints"
    serializer_class = ReleaseSerializer
    lookup_field = "uuid"
    list_spec = RELEASE_LIST
    queryset = Release.objects.none()

    def get_queryset(self) -> Any:
        seen = Release.objects.visible_to(_user(self.request))
        return seen.select_related("endpoint__project", "version", "created_by")

    @extend_schema(operation_id="releases_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="releases_retrieve")
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(ReleaseSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="releases_create",
        request=NewReleaseSerializer,
        responses={201: ReleaseSerializer},
    )
    def create(self, request: Request) -> Response:
        """Put an approved model version on an endpoint, without traffic. Contributors may."""
        asked, user = _read(NewReleaseSerializer, request), _user(request)
        project = get_project(user, asked["project"], role=Role.CONTRIBUTOR)
        endpoint = services.get_endpoint(project, asked["endpoint"])
        version = ModelVersion.objects.visible_to(user).filter(uuid=asked["version"]).first()
        if version is None:
            raise ValidationError({"version": "There is no such version. See the model's."})
        release = services.create_release(endpoint, version=version, slug=asked["slug"], user=user)
        return Response(ReleaseSerializer(release).data, status=201)

    @extend_schema(operation_id="releases_retire", request=None, responses=ReleaseSerializer)
    @action(detail=True, methods=["post"])
    def retire(self, request: Request, uuid: str) -> Response:
        """Take a release without traffic off its endpoint, for good."""
        self.refuse_body(request)
        release = services.retire_release(self.get_object(), user=_user(request))
        return Response(ReleaseSerializer(release).data)


class RouteChangeViewSet(HouseViewSet[RouteChange]):
    """Every change of what endpoints serve, newest first."""

    scope_noun = "endpoints"
    serializer_class = ChangeSerializer
    lookup_field = "uuid"
    list_spec = CHANGE_LIST
    queryset = RouteChange.objects.none()

    def get_queryset(self) -> Any:
        seen = RouteChange.objects.visible_to(_user(self.request))
        return seen.select_related("endpoint__project", "job", "created_by")

    @extend_schema(operation_id="route_changes_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="route_changes_retrieve")
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(ChangeSerializer(self.get_object()).data)


class KeyViewSet(HouseViewSet[EndpointKey]):
    """Keys that open endpoints."""

    scope_noun = "endpoints"
    serializer_class = KeySerializer
    lookup_field = "uuid"
    list_spec = KEY_LIST
    secret_actions = frozenset({"create", "rotate"})
    queryset = EndpointKey.objects.none()

    def get_queryset(self) -> Any:
        seen = EndpointKey.objects.visible_to(_user(self.request))
        return seen.select_related("endpoint__project", "created_by")

    @extend_schema(operation_id="endpoint_keys_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="endpoint_keys_retrieve")
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(KeySerializer(self.get_object()).data)

    @extend_schema(
        operation_id="endpoint_keys_create",
        request=NewKeySerializer,
        responses={201: KeyWithTextSerializer},
    )
    def create(self, request: Request) -> Response:
        """Make a key; its text is shown this once. Owners only."""
        asked, user = _read(NewKeySerializer, request), _user(request)
        project = get_project(user, asked["project"], role=Role.OWNER)
        endpoint = services.get_endpoint(project, asked["endpoint"])
        made = services.create_key(endpoint, name=asked["name"], days=asked.get("days"), user=user)
        return self._with_text(*made)

    @extend_schema(
        operation_id="endpoint_keys_rotate",
        request=None,
        responses={201: KeyWithTextSerializer},
    )
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, uuid: str) -> Response:
        """Make a key in place of this one, which opens for another day. Owners only."""
        self.refuse_body(request)
        return self._with_text(*services.rotate_key(self.get_object(), user=_user(request)))

    def _with_text(self, key: EndpointKey, text: str) -> Response:
        return Response({**KeySerializer(key).data, "text": text}, status=201)

    @extend_schema(operation_id="endpoint_keys_revoke", request=None, responses=KeySerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, uuid: str) -> Response:
        """End a key. Owners only."""
        self.refuse_body(request)
        key = services.revoke_key(self.get_object(), user=_user(request))
        return Response(KeySerializer(key).data)


def register(router: SimpleRouter) -> None:
    router.register("endpoints", EndpointViewSet, basename="endpoint")
    router.register("releases", ReleaseViewSet, basename="release")
    router.register("route-changes", RouteChangeViewSet, basename="route-change")
    router.register("endpoint-keys", KeyViewSet, basename="endpoint-key")
