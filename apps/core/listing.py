"""Lists: filter, keyset cursor and page size, the same for HTML and REST.

A cursor says after (or before) which row a page begins, so a list of any length costs the same:
no COUNT, no OFFSET, and rows that come or go shift nothing.
"""

import base64
import binascii
import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import QueryDict

from apps.core.filters import FilterError, FilterField, parse_filter

M = TypeVar("M", bound=Model)
DEFAULT_SIZE = 50
MAX_SIZE = 200
NOT_OURS = "This cursor is not one of this list's. Begin again without it."


class BadCursor(ValueError):
    """The cursor is none that this list gave out."""


class BadSize(ValueError):
    """The page size is not a whole number from 1 to 200."""


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

    A wrong filter comes back in the page, for its field; raise BadCursor or BadSize for the rest.
    """
    size = _read_size(query.get("size", ""))
    text = query.get("filter", "").strip()
    try:
        condition = parse_filter(text, spec.fields)
    except FilterError as error:
        return Page([], size, text, error, spec=spec)
    cursor = _read_cursor(query.get("cursor", ""))
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
    try:
        if cursor is not None:
            ordered = ordered.filter(_beyond(spec, cursor[1], is_back=is_back))
        rows = list(ordered[: size + 1])
    except (ValueError, TypeError, OverflowError, ValidationError):
        # What the cursor holds is not of the fields' types: somebody made it up.
        raise BadCursor(NOT_OURS) from None
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
    values = [_plain(_value(row, key)) for key in spec.keys]
    text = json.dumps(["p" if is_back else "n", *values], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _value(row: Any, key: str) -> Any:
    for name in key.split("__"):
        row = getattr(row, name)
    return row


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return value if isinstance(value, int | str) else str(value)


def _read_cursor(text: str) -> tuple[bool, list[Any]] | None:
    if not text:
        return None
    try:
        padded = text + "=" * (-len(text) % 4)
        read = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        read = None
    is_ours = (
        isinstance(read, list)
        and len(read) == 3
        and read[0] in ("n", "p")
        and all(isinstance(each, int | str) and "\x00" not in str(each) for each in read)
    )
    if not is_ours:
        raise BadCursor(NOT_OURS)
    return read[0] == "p", read[1:]


def _read_size(text: str) -> int:
    if not text:
        return DEFAULT_SIZE
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_SIZE):
        raise BadSize(f"A page has 1 to {MAX_SIZE} rows.")
    return int(text)
