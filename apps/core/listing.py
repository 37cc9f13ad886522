"""Lists: filter, keyset cursor and page size, the same for HTML and REST.

A cursor says after (or before) which row a page begins, so a list of any length costs the same:
no COUNT, no OFFSET, and rows that come or go shift nothing.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from django.core.exceptions import BadRequest
from django.core.signing import BadSignature, Signer
from django.db.models import Model, Q, QuerySet
from django.http import QueryDict

from apps.core.filters import FilterError, FilterField, parse_filter

M = TypeVar("M", bound=Model)
DEFAULT_SIZE = 50
MAX_SIZE = 200
NOT_OURS = "This cursor is not one of this list's. Begin again without it."


class BadCursor(BadRequest):
    """The cursor is none that this list gave out: HTTP 400, in the browser and over REST."""


class BadSize(BadRequest):
    """The page size is not a whole number from 1 to 200: HTTP 400."""


@dataclass(frozen=True)
class ListSpec:
    """How a list is filtered and ordered. `order` and `tie` together must be unique for each row;
    a minus in front means newest or largest first. Both must be fields that are never null."""

    fields: Mapping[str, FilterField] = field(default_factory=dict)
    order: str = "-created_at"
    tie: str = "-id"

    @property
    def keys(self) -> tuple[str, str]:
        return self.order.lstrip("-"), self.tie.lstrip("-")


@dataclass(frozen=True)
class Page(Generic[M]):
    """One page of a list. `filter_error` is set, and `rows` empty, when the filter is wrong."""

    rows: list[M]
    size: int
    filter_text: str = ""
    filter_error: FilterError | None = None
    next_cursor: str | None = None
    previous_cursor: str | None = None
    spec: ListSpec = ListSpec()

    @property
    def is_filtered(self) -> bool:
        return bool(self.filter_text)


def list_page(spec: ListSpec, queryset: QuerySet[M], query: QueryDict) -> Page[M]:
    """The page that `filter`, `cursor` and `size` in the query ask for. One database query.

    A wrong filter comes back in the page, for its field; raise BadCursor or BadSize, which are
    HTTP 400 by themselves, for the rest. `queryset` is already cut to what the user may see.
    """
    size = _read_size(query.get("size"))
    given = query.get("filter", "")
    text = given.strip()
    try:
        condition = parse_filter(given, spec.fields)
    except FilterError as error:
        return Page([], size, text, error, spec=spec)
    cursor = _read_cursor(spec, query.get("cursor", ""))
    rows, has_before, has_after = _fetch(spec, queryset.filter(condition), cursor, size)
    return Page(
        rows,
        size,
        text,
        next_cursor=_cursor(spec, rows[-1], is_back=False) if rows and has_after else None,
        previous_cursor=_cursor(spec, rows[0], is_back=True) if rows and has_before else None,
        spec=spec,
    )


def _fetch(
    spec: ListSpec, queryset: QuerySet[M], cursor: tuple[bool, list[Any]] | None, size: int
) -> tuple[list[M], bool, bool]:
    """One row more than a page is read: it tells whether there is a page beyond."""
    is_back = cursor is not None and cursor[0]
    ordered = queryset.order_by(*(_flip(key) if is_back else key for key in (spec.order, spec.tie)))
    if cursor is not None:
        ordered = ordered.filter(_beyond(spec, cursor[1], is_back=is_back))
    rows = list(ordered[: size + 1])
    has_more = len(rows) > size
    rows = rows[:size]
    if is_back:
        return rows[::-1], has_more, True
    return rows, cursor is not None, has_more


def _flip(key: str) -> str:
    return key.removeprefix("-") if key.startswith("-") else f"-{key}"


def _beyond(spec: ListSpec, values: list[Any], *, is_back: bool) -> Q:
    def lookup(key: str) -> str:
        return "lt" if key.startswith("-") is not is_back else "gt"

    (order, tie), (first, second) = spec.keys, values
    if order == tie:
        return Q(**{f"{order}__{lookup(spec.order)}": first})
    # The first half is implied by the second; databases use the index only when it is said.
    bound = Q(**{f"{order}__{lookup(spec.order)}e": first})
    return bound & (
        Q(**{f"{order}__{lookup(spec.order)}": first})
        | Q(**{order: first, f"{tie}__{lookup(spec.tie)}": second})
    )


def _cursor(spec: ListSpec, row: Model, *, is_back: bool) -> str:
    """Signed, so that what comes back is known to be ours, and of this order's types."""
    values = [_plain(_value(row, key)) for key in spec.keys]
    return _signer(spec).sign_object([is_back, *values])


def _signer(spec: ListSpec) -> Signer:
    return Signer(salt=f"portolan.cursor:{spec.order}:{spec.tie}", sep="~")


def _value(row: Any, key: str) -> Any:
    for name in key.split("__"):
        row = getattr(row, name)
    return row


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return value if isinstance(value, int | float | str) else str(value)


def _read_cursor(spec: ListSpec, text: str) -> tuple[bool, list[Any]] | None:
    if not text:
        return None
    try:
        is_back, *values = _signer(spec).unsign_object(text)
    except BadSignature:
        raise BadCursor(NOT_OURS) from None
    return is_back, values


def _read_size(text: str | None) -> int:
    if text is None:
        return DEFAULT_SIZE
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_SIZE):
        raise BadSize(f"A page has 1 to {MAX_SIZE} rows.")
    return int(text)
