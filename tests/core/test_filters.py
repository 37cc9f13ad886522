"""The filter grammar: what it means, and how it says no."""

import datetime as dt
import operator
import string
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Q
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from apps.core.filters import MAX_LENGTH, SIGNS, FilterError, FilterField, parse_filter
from apps.projects.models import Project
from tests.factories import make_project

FIELDS = {
    "slug": FilterField("text", "slug"),
    "name": FilterField("text", "name"),
    "created_at": FilterField("datetime", "created_at"),
    "archived_at": FilterField("datetime", "archived_at"),
    "number": FilterField("number", "id"),
    "id": FilterField("uuid", "uuid"),
    "state": FilterField("choice", "name", ("red", "green")),
    "is_open": FilterField("bool", "archived_at__isnull"),
}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "abc"),
        ("slug = a1", "a"),
        ("slug != a1", "bc"),
        ("name ~ RED", "ac"),
        ("name ~ red and not slug = a1", "c"),
        ("slug = a1 or slug = b1 and name ~ red", "a"),
        ("(slug = a1 or slug = b1) and name = green", "b"),
        ("slug in (a1, c1)", "ac"),
        ("slug not in (a1, c1)", "b"),
        ("archived_at is null", "abc"),
        ("archived_at is not null", ""),
        ("not archived_at >= now-2d", "abc"),
        ("archived_at != 2026-01-01", "abc"),
        ("created_at >= now-5m AND created_at <= now", "abc"),
        ('name = "red, \\"dark\\""', "c"),
        ("state in (red, green)", "ab"),
        ("is_open = true", "abc"),
    ],
)
def test_filter_finds_what_it_says(text: str, found: str) -> None:
    for letter, name in (("a", "red"), ("b", "green"), ("c", 'red, "dark"')):
        make_project(slug=f"{letter}1", name=name)
    slugs = Project.objects.filter(parse_filter(text, FIELDS)).values_list("slug", flat=True)
    assert "".join(sorted(slug[0] for slug in slugs)) == found


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("slgu = a", 1, "Did you mean slug?"),
        ("xyzzy = a", 1, "Known: slug, name"),
        ("slug a", 6, "Expected =, !="),
        ("slug = ", 8, "Expected a value, not the end"),
        ("slug > a", 6, "Expected =, !=, ~, “in” or “is null”, not “>”"),
        ("is_open in (true)", 9, "Expected =, !=, not “in”"),
        ("is_open is null", 9, "Expected =, !=, not “is”"),
        ("(slug = a", 10, "Expected “)”, not the end"),
        ("slug = a slug = b", 10, "Expected “and”"),
        ('slug = "a', 8, "never closed"),
        ("number = abc", 10, "is not a number"),
        ("created_at > soon", 14, "is no time"),
        ("created_at > 2026-13-40", 14, "month must be"),
        ("id = 12", 6, "is not an id"),
        ("state = blue", 9, "is not one of red, green"),
        ("slug in a", 9, "Expected “(”"),
        ("slug is a", 9, "Expected “null”"),
        ("slug = a ! b", 10, "Nothing starts so here"),
        ("not " * 25 + "slug = a", 85, "deeper than 20"),
        (" or ".join(["slug = a"] * 51), 601, "more than 50"),
        ("a" * 1001, 1001, "longer than 1000"),
        ("slug = \x00", 1, "cannot be searched"),
        ("is_open = maybe", 11, "neither true nor false"),
        ("slug not like a", 10, "Expected “in”"),
    ],
)
def test_wrong_filter_is_told_at_its_column(text: str, column: int, says: str) -> None:
    with pytest.raises(FilterError) as error:
        parse_filter(text, FIELDS)
    assert says in str(error.value)
    assert error.value.column == column


WORDS = st.sampled_from(
    [*FIELDS, "and", "or", "not", "in", "is", "null", "(", ")", ",", "=", "~", "<=", "now-2h", '"']
)


@given(st.lists(WORDS | st.text(string.printable, max_size=6), max_size=30).map(" ".join))
def test_any_text_is_a_condition_or_a_filter_error(text: str) -> None:
    try:
        assert isinstance(parse_filter(text, FIELDS), Q)
    except FilterError as error:
        assert 1 <= error.column <= len(text) + 1


# A condition as a tree: what it is written as, and whether a row fulfils it.
Condition = tuple[str, Callable[[Project], bool]]
DAYS = [dt.datetime(2026, 1, day, tzinfo=dt.UTC) for day in (1, 2, 3)]
ROWS = [("a", "Red", None), ("b", "red wine", DAYS[0]), ("c", 'x" y\\', DAYS[1]), ("d", "", None)]
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": lambda has, value: has is not None and has > value,
    ">=": lambda has, value: has is not None and has >= value,
    "<": lambda has, value: has is not None and has < value,
    "<=": lambda has, value: has is not None and has <= value,
    "~": lambda has, value: value.lower() in has.lower(),
}


def quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def compared(field: str, sign: str, value: Any) -> Condition:
    shown = quote(value) if isinstance(value, str) else value.isoformat()
    return f"{field} {sign} {shown}", lambda row: COMPARE[sign](getattr(row, field), value)


def within(field: str, values: list[str]) -> Condition:
    shown = ", ".join(quote(value) for value in values)
    return f"{field} IN ({shown})", lambda row: getattr(row, field) in values


def negated(inner: Condition) -> Condition:
    return f"not ({inner[0]})", lambda row: not inner[1](row)


def joined(left: Condition, word: str, right: Condition) -> Condition:
    join = all if word == "and" else any
    return f"({left[0]} {word} {right[0]})", lambda row: join((left[1](row), right[1](row)))


TEXTS = st.sampled_from([row[1] for row in ROWS] + ["RED", "%", "_", "e"])
CONDITIONS = st.recursive(
    st.builds(compared, st.just("name"), st.sampled_from(["=", "!=", "~"]), TEXTS)
    | st.builds(compared, st.just("archived_at"), st.sampled_from(SIGNS[:6]), st.sampled_from(DAYS))
    | st.builds(within, st.just("name"), st.lists(TEXTS, min_size=1, max_size=3))
    | st.just(("archived_at is null", lambda row: row.archived_at is None)),
    lambda inner: (
        st.builds(negated, inner) | st.builds(joined, inner, st.sampled_from(["and", "or"]), inner)
    ),
    max_leaves=8,
)


@pytest.mark.django_db
def test_database_agrees_with_python_on_any_condition() -> None:
    rows = [make_project(slug=slug, name=name, archived_at=at) for slug, name, at in ROWS]

    @settings(max_examples=200, deadline=None)
    @given(CONDITIONS)
    def agrees(condition: Condition) -> None:
        text, holds = condition
        assume(len(text) <= MAX_LENGTH)
        found = set(Project.objects.filter(parse_filter(text, FIELDS)))
        assert found == {row for row in rows if holds(row)}

    agrees()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("number = {id}.5", 0),
        ("number > {id}.5", 0),
        ("number < {id}.5", 1),
        ("number in ({id}, 1.5)", 1),
        ("number >= {id}.0", 1),
        ("number > -1.5", 1),
        ("number < 999999999999999999", 1),
    ],
)
def test_fraction_is_compared_exactly_to_a_whole_column(text: str, found: int) -> None:
    project = make_project()
    condition = parse_filter(text.format(id=project.pk), FIELDS)
    assert Project.objects.filter(condition).count() == found
