"""REST: projects, their members and their tokens."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from apps.accounts.api import TokenSerializer, TokenWithTextSerializer, refuse_tokens
from apps.accounts.models import ApiToken
from apps.accounts.tokens import DEFAULT_DAYS, MAX_DAYS
from apps.core.viewsets import HouseSerializer, HouseViewSet
from apps.projects import services
from apps.projects.forms import PROJECT_SCOPES
from apps.projects.lists import MEMBER_LIST, PROJECT_LIST, PROJECT_TOKEN_LIST
from apps.projects.models import Member, Project, Role
from apps.projects.services import get_project


class ProjectSerializer(serializers.ModelSerializer[Project]):
    class Meta:
        model = Project
        fields = ("uuid", "slug", "name", "description", "created_at", "archived_at")
        read_only_fields = fields


class NewProjectSerializer(HouseSerializer):
    name = serializers.CharField(max_length=80)
    slug = serializers.CharField(
        max_length=48, required=False, allow_blank=True, help_text="Left out, made from the name."
    )
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)


class ChangeProjectSerializer(HouseSerializer):
    name = serializers.CharField(max_length=80, required=False)
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)


class MemberSerializer(serializers.ModelSerializer[Member]):
    project = serializers.SlugRelatedField[Project](slug_field="slug", read_only=True)
    email = serializers.EmailField(source="user.email", read_only=True)
    name = serializers.CharField(source="user.name", read_only=True)
    is_service = serializers.BooleanField(source="user.is_service", read_only=True)

    class Meta:
        model = Member
        fields = ("uuid", "project", "email", "name", "role", "is_service", "created_at")
        read_only_fields = fields


class NewMemberSerializer(HouseSerializer):
    project = serializers.SlugField(help_text="The project's slug.")
    email = serializers.EmailField(max_length=254, help_text="Of somebody with an account.")
    role = serializers.ChoiceField(Role.choices)


class ChangeMemberSerializer(HouseSerializer):
    role = serializers.ChoiceField(Role.choices)


class NewProjectTokenSerializer(HouseSerializer):
    project = serializers.SlugField(help_text="The project's slug.")
    name = serializers.CharField(max_length=80, help_text="What will use it.")
    role = serializers.ChoiceField([Role.VIEWER.value, Role.CONTRIBUTOR.value])
    scopes = serializers.ListField(
        child=serializers.ChoiceField(list(PROJECT_SCOPES)),
        min_length=1,
        max_length=len(PROJECT_SCOPES),
    )
    days = serializers.IntegerField(default=DEFAULT_DAYS, min_value=1, max_value=MAX_DAYS)


class ProjectViewSet(HouseViewSet[Project]):
    """The projects you are a member of."""

    scope_noun = "projects"
    serializer_class = ProjectSerializer
    lookup_field = "slug"
    list_spec = PROJECT_LIST

    def get_queryset(self) -> Any:
        user: Any = self.request.user
        return Project.objects.visible_to(user)

    @extend_schema(operation_id="projects_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="projects_retrieve")
    def retrieve(self, request: Request, slug: str) -> Response:
        return Response(ProjectSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="projects_create",
        request=NewProjectSerializer,
        responses={201: ProjectSerializer},
    )
    def create(self, request: Request) -> Response:
        """Make a project; you become its owner."""
        serializer = NewProjectSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user: Any = request.user
        project = services.create_project(user=user, **serializer.validated_data)
        return Response(ProjectSerializer(project).data, status=201)

    @extend_schema(
        operation_id="projects_update",
        request=ChangeProjectSerializer,
        responses=ProjectSerializer,
    )
    def partial_update(self, request: Request, slug: str) -> Response:
        """Change name or description. Owners only."""
        serializer = ChangeProjectSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user: Any = request.user
        project = services.update_project(self.get_object(), user=user, **serializer.validated_data)
        return Response(ProjectSerializer(project).data)

    @extend_schema(operation_id="projects_archive", request=None)
    @action(detail=True, methods=["post"])
    def archive(self, request: Request, slug: str) -> Response:
        """Make it read-only. Owners only."""
        return self._archived(request, True)

    @extend_schema(operation_id="projects_unarchive", request=None)
    @action(detail=True, methods=["post"])
    def unarchive(self, request: Request, slug: str) -> Response:
        """Let it be changed again. Owners only."""
        return self._archived(request, False)

    def _archived(self, request: Request, is_archived: bool) -> Response:
        self.refuse_body(request)
        user: Any = request.user
        project = services.set_archived(self.get_object(), is_archived=is_archived, user=user)
        return Response(ProjectSerializer(project).data)


class MemberViewSet(HouseViewSet[Member]):
    """Who is in your projects, and as what."""

    scope_noun = "projects"
    serializer_class = MemberSerializer
    lookup_field = "uuid"
    list_spec = MEMBER_LIST

    def get_queryset(self) -> Any:
        user: Any = self.request.user
        projects = Project.objects.visible_to(user)
        seen = Member.objects.filter(project__in=projects, user__is_service=False)
        return seen.select_related("project", "user")

    @extend_schema(operation_id="members_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="members_retrieve")
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(MemberSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="members_create",
        request=NewMemberSerializer,
        responses={201: MemberSerializer},
    )
    def create(self, request: Request) -> Response:
        """Add somebody with an account to a project. Owners only."""
        serializer = NewMemberSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user: Any = request.user
        asked = dict(serializer.validated_data)
        project = get_project(user, asked.pop("project"))
        member = services.add_member(
            project, email=asked["email"], role=Role(asked["role"]), user=user
        )
        return Response(MemberSerializer(member).data, status=201)

    @extend_schema(
        operation_id="members_update", request=ChangeMemberSerializer, responses=MemberSerializer
    )
    def partial_update(self, request: Request, uuid: str) -> Response:
        """Change a member's role. Owners only."""
        serializer = ChangeMemberSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user: Any = request.user
        role = Role(serializer.validated_data["role"])
        member = services.change_role(self.get_object(), role=role, user=user)
        return Response(MemberSerializer(member).data)

    @extend_schema(operation_id="members_delete", responses={204: None})
    def destroy(self, request: Request, uuid: str) -> Response:
        """Take somebody out of a project (owners), or leave it."""
        user: Any = request.user
        services.remove_member(self.get_object(), user=user)
        return Response(status=204)


class ProjectTokenViewSet(HouseViewSet[ApiToken]):
    """Tokens that belong to a project rather than to a person. Its owners only."""

    scope_noun = "projects"
    serializer_class = TokenSerializer
    lookup_field = "uuid"
    list_spec = PROJECT_TOKEN_LIST
    secret_actions = frozenset({"create"})

    def get_queryset(self) -> Any:
        user: Any = self.request.user
        owned = Project.objects.with_role(user, Role.OWNER)
        return ApiToken.objects.filter(user__is_service=True, user__memberships__project__in=owned)

    @extend_schema(operation_id="project_tokens_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(
        operation_id="project_tokens_create",
        request=NewProjectTokenSerializer,
        responses={201: TokenWithTextSerializer},
    )
    def create(self, request: Request) -> Response:
        refuse_tokens(request)
        serializer = NewProjectTokenSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked = dict(serializer.validated_data)
        user: Any = request.user
        project = get_project(user, asked.pop("project"))
        asked["role"] = Role(asked["role"])
        token, text = services.create_project_token(project, user=user, **asked)
        return Response({**TokenSerializer(token).data, "text": text}, status=201)

    @extend_schema(operation_id="project_tokens_revoke", request=None, responses=TokenSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, uuid: str) -> Response:
        """End a project's token."""
        refuse_tokens(request)
        self.refuse_body(request)
        token = get_object_or_404(self.get_queryset(), uuid=uuid)
        project = Project.objects.get(members__user_id=token.user_id)
        user: Any = request.user
        services.revoke_project_token(project, token, user=user)
        return Response(TokenSerializer(token).data)


def register(router: SimpleRouter) -> None:
    router.register("projects", ProjectViewSet, basename="project")
    router.register("members", MemberViewSet, basename="member")
    router.register("project-tokens", ProjectTokenViewSet, basename="project-token")
