"""What every REST resource is made of: its viewset and its serializer."""

import functools
from collections.abc import Mapping, Set
from typing import Any, ClassVar, Generic, TypeVar

from django.db.models import Model
from rest_framework import exceptions, serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from apps.core.idempotency import read_key, run_once
from apps.core.listing import ListSpec
from apps.core.paging import QUERY_NAMES

M = TypeVar("M", bound=Model)


class HouseSerializer(serializers.Serializer[Any]):
    """Refuses what it does not know, and a value of another JSON type than it says: bad input is
    told, never dropped and never guessed at."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            takes = {name: each for name, each in self.fields.items() if not each.read_only}
            if unknown := sorted({str(name) for name in data} - takes.keys()):
                text = (
                    f"There is no such field to set. Fields: {', '.join(sorted(takes)) or 'none'}."
                )
                raise ValidationError({name: [text] for name in unknown}, code="unknown")
            wrong = {name: _mistyped(each, data.get(name)) for name, each in takes.items()}
            if any(wrong.values()):
                raise ValidationError({name: [text] for name, text in wrong.items() if text})
        return super().to_internal_value(data)


# DRF alone takes "5" for 5, 1 for true and 7 for "7"; the document promises otherwise.
JSON_TYPES: tuple[
    tuple[tuple[type[serializers.Field[Any, Any, Any, Any]], ...], tuple[type, ...], str], ...
] = (
    ((serializers.BooleanField,), (bool,), "Send true or false."),
    ((serializers.IntegerField, serializers.FloatField), (int, float), "Send a number."),
    ((serializers.CharField, serializers.UUIDField), (str,), "Send a text."),
)


def _mistyped(field: Any, value: Any) -> str:
    """What is wrong with the value's JSON type, "" if nothing. Null is the field's own affair."""
    if isinstance(field, serializers.ListField) and isinstance(value, list):
        return next(filter(None, (_mistyped(field.child, each) for each in value)), "")
    for fields, types, text in JSON_TYPES:
        if isinstance(field, fields) and value is not None:
            is_other = isinstance(value, bool) and bool not in types
            return text if is_other or not isinstance(value, types) else ""
    return ""


class HouseViewSet(GenericViewSet[M], Generic[M]):
    """Base of every resource. A subclass sets `scope_noun`, `list_spec` where it lists, and a
    `get_queryset` that begins with `visible_to(user)`; beside it `queryset = Model.objects.none()`
    tells the document the types of ids in addresses.

    `required_scopes` names the scope a token needs for an action where it is not `read` to look
    and `<scope_noun>:write` for the rest. `query_names` are the query parameters an action takes
    (`list` has its own three besides); others are refused. `secret_actions` name the actions whose
    answer holds a secret shown once; `waiting_actions` those that wait on a worker, so must not
    run inside one transaction with the idempotency key.
    """

    scope_noun: ClassVar[str] = ""
    required_scopes: ClassVar[Mapping[str, str]] = {}
    list_spec: ClassVar[ListSpec] = ListSpec()
    query_names: ClassVar[Mapping[str, Set[str]]] = {}
    secret_actions: ClassVar[Set[str]] = frozenset()
    waiting_actions: ClassVar[Set[str]] = frozenset()
    rate_headers: Mapping[str, str] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self._refuse_unknown_query(request)
        if request.method != "POST" or not request.user.is_authenticated:
            return
        if key := read_key(request):
            # DRF picks the handler after this: the one it finds runs at most once per key.
            handler = getattr(self, "post", self.http_method_not_allowed)
            setattr(self, "post", functools.partial(self._once, handler, key))  # noqa: B010

    def _refuse_unknown_query(self, request: Request) -> None:
        known = set(self.query_names.get(self.action or "", ()))
        if self.action == "list":
            known |= QUERY_NAMES
        elif self.action not in self.query_names:
            return
        unknown = sorted(set(request.query_params) - known)
        if unknown:
            text = f"There is no such query parameter. Known: {', '.join(sorted(known))}."
            raise ValidationError({name: [text] for name in unknown}, code="unknown")

    def _once(self, handler: Any, key: str, request: Request, *args: Any, **kw: Any) -> Response:
        return run_once(
            request,
            key,
            lambda: handler(request, *args, **kw),
            is_secret=self.action in self.secret_actions,
            is_atomic=self.action not in self.waiting_actions,
        )

    def handle_exception(self, exc: Exception) -> Response:
        """Count refused sign-ins too: DRF looks at the rate only after it knows who asks."""
        if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
            try:
                self.check_throttles(self.request)
            except exceptions.Throttled as throttled:
                exc = throttled
        return super().handle_exception(exc)

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        final = super().finalize_response(request, response, *args, **kwargs)
        for name, value in self.rate_headers.items():
            final[name] = value
        return final

    def valid(self, request: Request, **context: Any) -> dict[str, Any]:
        """The request's body, checked by the action's serializer, which says itself what may be
        left out: the document promises the same."""
        serializer = self.get_serializer(data=request.data, **context)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def refuse_body(self, request: Request) -> None:
        """For verbs that take nothing: a body would be dropped silently, so it is an error."""
        if request.data:
            raise ValidationError("This takes no body. Send none.", code="unknown")

    def answer_list(self) -> Response:
        """The page of rows the query asks for."""
        rows = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(rows, many=True).data)
