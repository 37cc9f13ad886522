"""What every REST resource is made of: its viewset and its serializer."""

import functools
from typing import Any, ClassVar, Generic, TypeVar

from django.db.models import Model
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from apps.core.idempotency import read_key, run_once
from apps.core.listing import ListSpec

M = TypeVar("M", bound=Model)


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
