"""The filter grammar: what it means, and how it says no."""

import string

import pytest
from django.db.models import Q
from hypothesis import given
from hypothesis import strategies as st

from apps.core.filters import FilterError, FilterField, parse_filter
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
        ("slug > a", 6, "This field takes"),
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


LEAVES = st.builds("slug = {}".format, st.sampled_from("abcd"))
TREES = st.recursive(
    LEAVES.map(lambda leaf: (leaf, lambda slug: leaf.endswith(slug))),
    lambda inner: st.one_of(
        inner.map(lambda a: (f"not ({a[0]})", lambda slug: not a[1](slug))),
        st.tuples(inner, inner).map(
            lambda ab: (
                f"({ab[0][0]}) and ({ab[1][0]})",
                lambda slug: ab[0][1](slug) and ab[1][1](slug),
            )
        ),
        st.tuples(inner, inner).map(
            lambda ab: (
                f"({ab[0][0]}) or ({ab[1][0]})",
                lambda slug: ab[0][1](slug) or ab[1][1](slug),
            )
        ),
    ),
    max_leaves=12,
)


@pytest.mark.django_db
def test_database_agrees_with_python_on_any_condition() -> None:
    for slug in "abcd":
        make_project(slug=slug)

    @given(TREES)
    def agrees(tree: tuple[str, object]) -> None:
        text, holds = tree
        found = Project.objects.filter(parse_filter(text, FIELDS)).values_list("slug", flat=True)
        assert set(found) == {slug for slug in "abcd" if holds(slug)}  # type: ignore[operator]

    agrees()
