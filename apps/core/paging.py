"""REST's lists: the same filter, cursor and size as the browser's, through the view's ListSpec."""

from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from apps.core.filters import MAX_LENGTH
from apps.core.listing import DEFAULT_SIZE, MAX_SIZE, ListSpec, Page, list_page

if TYPE_CHECKING:
    from rest_framework.views import APIView

QUERY_NAMES = frozenset({"filter", "cursor", "size"})


class HousePagination(BasePagination):
    """Answers `{"results": […], "next": address or null, "previous": address or null}`."""

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
        return [
            {
                "name": "filter",
                "in": "query",
                "description": f"Such as `created_at >= now-2d`. Fields: {names}.",
                "schema": {"type": "string", "maxLength": MAX_LENGTH},
            },
            {
                "name": "cursor",
                "in": "query",
                "description": "Where the page begins: taken from `next` or `previous`.",
                "schema": {"type": "string", "maxLength": 1000},
            },
            {
                "name": "size",
                "in": "query",
                "description": "How many rows a page has.",
                "schema": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_SIZE,
                    "default": DEFAULT_SIZE,
                },
            },
        ]
