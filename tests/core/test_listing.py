"""Lists: every row once, in order, back and forth, at a constant number of queries."""

import datetime as dt
from urllib.parse import parse_qs, urlsplit

import pytest
from django.http import QueryDict
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from apps.core.filters import FilterField
from apps.core.listing import BadCursor, BadSize, ListSpec, Page, list_page
from apps.projects.models import Project
from tests.factories import make_project

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.resources")]
NEWEST = ListSpec(fields={"name": FilterField("text", "name")})
BY_NAME = ListSpec(order="name", tie="id")
BY_ID = ListSpec(order="-id")
THINGS = "/api/v1/things/"


def page(spec: ListSpec, **query: str) -> Page[Project]:
    asked = QueryDict(mutable=True)
    asked.update(query)
    return list_page(spec, Project.objects.all(), asked)


def slugs(found: Page[Project]) -> str:
    return "".join(row.slug for row in found.rows)


def make_seven() -> None:
    """a … g; b to d at the same moment, so that the tie decides."""
    now = timezone.now() - dt.timedelta(hours=1)
    for minutes, slug in zip((0, 1, 1, 1, 2, 3, 4), "abcdefg", strict=True):
        make_project(slug=slug, name="same", created_at=now + dt.timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("spec", "order"), [(NEWEST, "gfedcba"), (BY_NAME, "abcdefg"), (BY_ID, "gfedcba")]
)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_pages_hold_every_row_once_there_and_back(spec: ListSpec, order: str, size: int) -> None:
    make_seven()
    seen = [page(spec, size=str(size))]
    while cursor := seen[-1].next_cursor:
        seen.append(page(spec, size=str(size), cursor=cursor))
    assert "".join(map(slugs, seen)) == order
    back = [seen[-1]]
    while cursor := back[-1].previous_cursor:
        back.append(page(spec, size=str(size), cursor=cursor))
    assert "".join(map(slugs, reversed(back))) == order
    assert back[-1].next_cursor == seen[0].next_cursor


def test_rows_that_come_and_go_shift_nothing() -> None:
    make_seven()
    first = page(NEWEST, size="3")
    make_project(slug="h")
    Project.objects.filter(slug__in="ed").delete()
    assert slugs(page(NEWEST, size="3", cursor=first.next_cursor or "")) == "cba"


def test_a_page_costs_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    make_seven()
    cursor = page(NEWEST, size="2").next_cursor or ""
    with django_assert_num_queries(1) as queries:
        page(NEWEST, size="2", cursor=cursor, filter="name = same")
    assert "COUNT" not in queries.captured_queries[0]["sql"]
    assert "OFFSET" not in queries.captured_queries[0]["sql"]


def test_wrong_filter_comes_back_with_the_page() -> None:
    found = page(NEWEST, filter=" nmae = a ")
    assert (found.rows, found.filter_text, found.is_filtered) == ([], "nmae = a", True)
    assert "Did you mean name?" in str(found.filter_error)


@settings(max_examples=50)
@given(st.text(max_size=60))
def test_cursor_that_is_not_ours_is_refused(text: str) -> None:
    if text:
        with pytest.raises(BadCursor):
            page(NEWEST, cursor=text)


def test_cursor_of_another_order_is_refused() -> None:
    make_seven()
    with pytest.raises(BadCursor):
        page(BY_NAME, cursor=page(NEWEST, size="2").next_cursor or "")


@pytest.mark.parametrize("size", ["", "0", "201", "-1", "x", "1.5", "²", "99999999999"])
def test_size_outside_its_bounds_is_refused(size: str) -> None:
    with pytest.raises(BadSize):
        page(NEWEST, size=size)


def test_rest_links_pages_and_keeps_the_filter(api: APIClient) -> None:
    make_seven()
    first = api.get(THINGS, {"size": "4", "filter": "name = same"}).json()
    assert list(first) == ["results", "next", "previous"]
    assert first["previous"] is None
    query = parse_qs(urlsplit(first["next"]).query)
    assert (query["filter"], query["size"]) == (["name = same"], ["4"])
    second = api.get(first["next"]).json()
    assert [row["slug"] for row in second["results"]] == list("cba")
    assert second["next"] is None
    assert api.get(second["previous"]).json()["results"] == first["results"]


@pytest.mark.parametrize(
    "query", [{"cursor": "abc"}, {"size": "0"}, {"filter": "nmae = a"}, {"filter": "name ="}]
)
def test_rest_names_the_wrong_parameter(api: APIClient, query: dict[str, str]) -> None:
    response = api.get(THINGS, query)
    assert response.status_code == 400
    assert [each["field"] for each in response.json()["errors"]] == list(query)
