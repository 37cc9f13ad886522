"""What every REST resource is made of: its viewset, serializer, list and permission."""

import functools
from typing import Any, ClassVar, Generic, TypeVar

from django.db.models import Model, QuerySet
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from apps.core.idempotency import read_key, run_once
from apps.core.listing import DEFAULT_SIZE, MAX_SIZE, ListSpec, Page, list_page

M = TypeVar("M", bound=Model)


class SignedInWithScope(BasePermission):
    """Signed in; and a token may only do what its scopes say.

    Reading takes `read`; anything else takes the resource's own scope, `<scope_noun>:write`.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not request.user.is_authenticated:
            return False
        token: Any = request.auth
        if token is None:
            return True
        noun = getattr(view, "scope_noun", "")
        needed = "read" if request.method in SAFE_METHODS else f"{noun}:write"
        if needed not in token.scopes:
            raise PermissionDenied(f"This token lacks the scope {needed}. Use one that has it.")
        return True


class HousePagination(BasePagination):
    """`filter`, `cursor` and `size`, read through the view's `list_spec`."""

    page: Page[Any]

    def paginate_queryset(
        self, queryset: QuerySet[Any, Any], request: Request, view: APIView | None = None
    ) -> list[Any]:
        spec: ListSpec = getattr(view, "list_spec", ListSpec())
        page: Page[Any] = list_page(spec, queryset, request.query_params)
        if page.filter_error is not None:
            raise ValidationError({"filter": [str(page.filter_error)]})
        self.page = page
        self.url = request.build_absolute_uri()
        return page.rows

    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {
                "results": data,
                "next": self._link(self.page.next_cursor),
                "previous": self._link(self.page.previous_cursor),
            }
        )

    def _link(self, cursor: str | None) -> str | None:
        return replace_query_param(self.url, "cursor", cursor) if cursor else None

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["results", "next", "previous"],
            "properties": {
                "results": {**schema, "maxItems": MAX_SIZE},
                "next": {**link, "description": "Where the next page is, null on the last."},
                "previous": {**link, "description": "Where the page before is, null on the first."},
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        known = view.list_spec.fields.items()
        names = ", ".join(f"`{name}` ({each.kind})" for name, each in known) or "none"
        texts = {
            "filter": f"Such as `state = failed and created_at >= now-2d`. Fields: {names}.",
            "cursor": "Where the page begins: taken from `next` or `previous`.",
        }
        size = {"type": "integer", "minimum": 1, "maximum": MAX_SIZE, "default": DEFAULT_SIZE}
        described = [
            {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
            for name, text in texts.items()
        ]
        return [*described, {"name": "size", "in": "query", "description": "Rows.", "schema": size}]


class HouseSerializer(serializers.Serializer[Any]):
    """Refuses what it does not know: bad input is told, never dropped."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            known = {name for name, each in self.fields.items() if not each.read_only}
            unknown = {str(name) for name in data} - known
            if unknown:
                taken = ", ".join(sorted(known)) or "none"
                text = f"There is no such field to set. Fields: {taken}."
                raise ValidationError({name: [text] for name in sorted(unknown)})
        return super().to_internal_value(data)


class HouseViewSet(GenericViewSet[M], Generic[M]):
    """Base of every resource. A subclass sets `scope_noun`, `list_spec` where it lists, and a
    `get_queryset` that begins with `visible_to(user)`.

    `secret_actions` name the actions whose answer holds a secret shown once; `unkept_actions`
    those that must not run in one transaction with the idempotency key (they wait on a worker).
    """

    scope_noun: ClassVar[str] = ""
    list_spec: ClassVar[ListSpec] = ListSpec()
    secret_actions: ClassVar[frozenset[str]] = frozenset()
    unkept_actions: ClassVar[frozenset[str]] = frozenset()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method != "POST" or self.action in self.unkept_actions:
            return
        if key := read_key(request):
            # DRF picks the handler after this: the one it finds runs at most once per key.
            handler = getattr(self, "post", self.http_method_not_allowed)
            setattr(self, "post", functools.partial(self._once, handler, key))  # noqa: B010

    def _once(self, handler: Any, key: str, request: Request, *args: Any, **kw: Any) -> Response:
        return run_once(
            request,
            key,
            lambda: handler(request, *args, **kw),
            is_secret=self.action in self.secret_actions,
        )

    def valid(self, request: Request, **context: Any) -> dict[str, Any]:
        """The request's body, checked by the action's serializer."""
        serializer = self.get_serializer(
            data=request.data, partial=request.method == "PATCH", **context
        )
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def answer_list(self) -> Response:
        """The page of rows the query asks for."""
        rows = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(rows, many=True).data)
