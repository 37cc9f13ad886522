"""REST: oneself, people and invitations (site admins), and one's own tokens."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from apps.accounts import services
from apps.accounts.lists import PEOPLE_LIST, TOKEN_LIST
from apps.accounts.models import ApiToken, User
from apps.accounts.scopes import SCOPES
from apps.accounts.tokens import DEFAULT_DAYS, MAX_DAYS, create_token, revoke_token
from apps.core.viewsets import HouseSerializer, HouseViewSet


class MeSerializer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ("uuid", "email", "name", "time_zone", "is_site_admin", "is_service", "created_at")
        read_only_fields = fields


class ChangeMeSerializer(HouseSerializer):
    name = serializers.CharField(max_length=120, required=False)
    time_zone = serializers.CharField(
        max_length=64, required=False, help_text="An IANA name such as Europe/Zurich."
    )


class PersonSerializer(serializers.ModelSerializer[User]):
    """A person; `state` is active, invited or deactivated."""

    state = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = (
            "uuid", "email", "name", "state", "is_site_admin", "created_at", "last_login",
            "deactivated_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_state(self, person: User) -> str:
        if person.is_invited:
            return "invited"
        return "deactivated" if person.deactivated_at else "active"


class NewInvitationSerializer(HouseSerializer):
    email = serializers.EmailField(max_length=254)
    name = serializers.CharField(max_length=120)
    is_site_admin = serializers.BooleanField(default=False)


class InvitationSerializer(serializers.Serializer[Any]):
    """The link is in this answer alone; it is mailed too, where there is a mail server."""

    person = PersonSerializer()
    link = serializers.CharField()
    expires_at = serializers.DateTimeField()


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    scopes = serializers.ListField(child=serializers.ChoiceField(list(SCOPES)), read_only=True)

    class Meta:
        model = ApiToken
        fields = (
            "uuid", "name", "prefix", "scopes", "created_at", "expires_at", "last_used_at",
            "revoked_at",
        )  # fmt: skip
        read_only_fields = fields


class NewTokenSerializer(HouseSerializer):
    name = serializers.CharField(max_length=80, help_text="What will use it.")
    scopes = serializers.ListField(
        child=serializers.ChoiceField(list(SCOPES)), min_length=1, max_length=len(SCOPES)
    )
    days = serializers.IntegerField(default=DEFAULT_DAYS, min_value=1, max_value=MAX_DAYS)


class TokenWithTextSerializer(TokenSerializer):
    """`text` is the token itself: in this answer alone, and kept nowhere."""

    text = serializers.CharField(read_only=True)

    class Meta(TokenSerializer.Meta):
        fields = (*TokenSerializer.Meta.fields, "text")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


def refuse_tokens(request: Request) -> None:
    """A token cannot make tokens: it could make one that outlives or exceeds it."""
    if request.auth is not None:
        raise PermissionDenied("A token cannot make or end tokens. Sign in and do it there.")


class MeViewSet(HouseViewSet[User]):
    """Whoever asks."""

    scope_noun = "people"
    serializer_class = MeSerializer

    @extend_schema(operation_id="me_retrieve", responses=MeSerializer)
    def retrieve(self, request: Request) -> Response:
        user: Any = request.user
        return Response(MeSerializer(user).data)

    @extend_schema(operation_id="me_update", request=ChangeMeSerializer, responses=MeSerializer)
    def partial_update(self, request: Request) -> Response:
        serializer = ChangeMeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user: Any = request.user
        return Response(
            MeSerializer(services.update_profile(user, **serializer.validated_data)).data
        )


class SiteAdminViewSet(HouseViewSet[User]):
    """What only site admins may see."""

    scope_noun = "people"
    serializer_class = PersonSerializer
    queryset = User.objects.filter(is_service=False)
    lookup_field = "uuid"
    list_spec = PEOPLE_LIST

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        user: Any = request.user
        if not user.is_site_admin:
            raise PermissionDenied("Only a site admin can see and change people.")


class UserViewSet(SiteAdminViewSet):
    """Everybody who can sign in or has been invited to. Site admins only."""

    @extend_schema(operation_id="users_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(operation_id="users_retrieve")
    def retrieve(self, request: Request, uuid: str) -> Response:
        return Response(PersonSerializer(self.get_object()).data)

    @extend_schema(operation_id="users_deactivate", request=None)
    @action(detail=True, methods=["post"])
    def deactivate(self, request: Request, uuid: str) -> Response:
        """Shut somebody out: sessions end, tokens stop."""
        return self._done(request, services.deactivate_person)

    @extend_schema(operation_id="users_reactivate", request=None)
    @action(detail=True, methods=["post"])
    def reactivate(self, request: Request, uuid: str) -> Response:
        """Let somebody in again."""
        return self._done(request, services.reactivate_person)

    @extend_schema(operation_id="users_make_site_admin", request=None)
    @action(detail=True, methods=["post"], url_path="make-site-admin")
    def make_site_admin(self, request: Request, uuid: str) -> Response:
        """Give site administration."""
        return self._done(request, services.set_site_admin, is_site_admin=True)

    @extend_schema(operation_id="users_remove_site_admin", request=None)
    @action(detail=True, methods=["post"], url_path="remove-site-admin")
    def remove_site_admin(self, request: Request, uuid: str) -> Response:
        """Take site administration; there is always one left."""
        return self._done(request, services.set_site_admin, is_site_admin=False)

    def _done(self, request: Request, service: Any, **more: Any) -> Response:
        self.refuse_body(request)
        person = self.get_object()
        service(person, user=request.user, **more)
        return Response(PersonSerializer(person).data)


class InvitationViewSet(SiteAdminViewSet):
    """Invitations that wait to be accepted. Site admins only."""

    queryset = User.objects.filter(is_service=False, is_active=False, deactivated_at__isnull=True)
    secret_actions = frozenset({"create", "resend"})

    @extend_schema(operation_id="invitations_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(
        operation_id="invitations_create",
        request=NewInvitationSerializer,
        responses={201: InvitationSerializer},
    )
    def create(self, request: Request) -> Response:
        serializer = NewInvitationSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user: Any = request.user
        made = services.invite_person(user=user, **serializer.validated_data)
        return self._answer(*made, status=201)

    @extend_schema(operation_id="invitations_resend", request=None, responses=InvitationSerializer)
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, uuid: str) -> Response:
        """A new link; the old one stops working."""
        self.refuse_body(request)
        user: Any = request.user
        return self._answer(*services.renew_invitation(self.get_object(), user=user), status=200)

    @extend_schema(operation_id="invitations_revoke", request=None, responses={204: None})
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, uuid: str) -> Response:
        """Take the invitation back."""
        self.refuse_body(request)
        user: Any = request.user
        services.revoke_invitation(self.get_object(), user=user)
        return Response(status=204)

    def _answer(self, invitation: Any, link: str, *, status: int) -> Response:
        made = {"person": invitation.user, "link": link, "expires_at": invitation.expires_at}
        return Response(InvitationSerializer(made).data, status=status)


class TokenViewSet(HouseViewSet[ApiToken]):
    """One's own tokens. A token can list them, but neither make nor revoke any."""

    scope_noun = "people"
    required_scopes = {"create": "read", "revoke": "read"}
    serializer_class = TokenSerializer
    queryset = ApiToken.objects.none()
    lookup_field = "uuid"
    list_spec = TOKEN_LIST
    secret_actions = frozenset({"create"})

    def get_queryset(self) -> Any:
        user: Any = self.request.user
        return ApiToken.objects.filter(user=user)

    @extend_schema(operation_id="tokens_list")
    def list(self, request: Request) -> Response:
        return self.answer_list()

    @extend_schema(
        operation_id="tokens_create",
        request=NewTokenSerializer,
        responses={201: TokenWithTextSerializer},
    )
    def create(self, request: Request) -> Response:
        refuse_tokens(request)
        serializer = NewTokenSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user: Any = request.user
        token, text = create_token(user, created_by=user, **serializer.validated_data)
        return Response({**TokenSerializer(token).data, "text": text}, status=201)

    @extend_schema(operation_id="tokens_revoke", request=None, responses=TokenSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, uuid: str) -> Response:
        """Make a token useless at once."""
        refuse_tokens(request)
        self.refuse_body(request)
        token = get_object_or_404(self.get_queryset(), uuid=uuid)
        user: Any = request.user
        revoke_token(token, user=user)
        return Response(TokenSerializer(token).data)


def register(router: SimpleRouter) -> None:
    router.register("users", UserViewSet, basename="user")
    router.register("invitations", InvitationViewSet, basename="invitation")
    router.register("tokens", TokenViewSet, basename="token")
