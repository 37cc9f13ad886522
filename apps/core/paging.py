"""Lists over REST: the page of `apps.core.listing`, with links to the next and the one before."""

from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from apps.core.listing import DEFAULT_SIZE, MAX_SIZE, ListSpec, Page, list_page

if TYPE_CHECKING:
    from rest_framework.views import APIView


class HousePagination(BasePagination):
    """`filter`, `cursor` and `size`, read through the view's `list_spec`."""

    page: Page[Any]

    def paginate_queryset(
        self, queryset: QuerySet[Any, Any], request: Request, view: "APIView | None" = None
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
