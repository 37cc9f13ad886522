"""The table against the portal: every address, every role, every scope."""

import json
import re
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpResponseBase
from django.urls import URLPattern, URLResolver, get_resolver, resolve

from tests.matrix.table import BODIES, TABLE
from tests.matrix.world import NAME, ROLES, SCOPES, SLUG, World, build_world

ROWS = [line for line in TABLE.strip().splitlines() if line]
PAGE_METHODS = {"GET", "POST"}
STRANGERS_TOKEN = "stranger's token"
OUTSIDERS = ("anonymous", "stranger", STRANGERS_TOKEN)


def parse(row: str) -> tuple[str, str, list[str], list[str]]:
    """Method, path, and the statuses for roles and for scopes."""
    method, path, *statuses = row.split()
    by_role, by_scope = statuses[: len(ROLES)], statuses[len(ROLES) :]
    return method, path, by_role, _each_scope(*by_scope) if by_scope else []


def _each_scope(told: str) -> list[str]:
    """`read=200` in full: one status for each scope."""
    needed, _, status = told.partition("=")
    assert needed in (*SCOPES, "any", "none"), told
    return [status if needed in (scope, "any") else "403" for scope in SCOPES]


def send(world: World, way: str, method: str, path: str) -> tuple[int, str]:
    """One request as nobody but this role; whatever it did is undone."""
    client = world.client(way)
    body = BODIES.get(f"{method} {path}")
    is_api = path.startswith("/api/")
    data: Any = json.loads(world.fill(json.dumps(body))) if body is not None else None
    if is_api and method != "GET":
        data = json.dumps(data) if data is not None else ""
        extra = {"content_type": "application/json"}
    else:
        data, extra = data or {}, {}
    with transaction.atomic():
        answer = getattr(client, method.lower())(world.fill(path), data, **extra)
        text = read(answer)
        transaction.set_rollback(True)
    return answer.status_code, text


def read(answer: HttpResponseBase) -> str:
    if answer.streaming:
        return b"".join(answer).decode()
    return answer.content.decode()  # type: ignore[attr-defined,no-any-return]


@pytest.mark.django_db
def test_every_address_answers_every_role_as_the_table_says() -> None:
    world = build_world()
    wrong = []
    for row in ROWS:
        method, path, by_role, by_scope = parse(row)
        ways = [*zip(ROLES, by_role, strict=True), *zip(SCOPES, by_scope, strict=False)]
        if by_scope:
            # With every scope there is, it may what its person may, where any token may anything.
            may_any = set(by_scope) != {"403"}
            ways.append((STRANGERS_TOKEN, by_role[ROLES.index("stranger")] if may_any else "403"))
        for way, expected in ways:
            status, text = send(world, way, method, path)
            if str(status) != expected:
                wrong.append(f"{method} {path} as {way}: {status}, not {expected}")
            if way in OUTSIDERS and _is_leaking(path, text):
                wrong.append(f"{method} {path} tells {way} of {NAME}")
    assert wrong == []


def _is_leaking(path: str, text: str) -> bool:
    """What outsiders are answered must not name the project, unless they did themselves."""
    return NAME in text or ("{slug}" not in path and SLUG in text)


def test_rest_rows_cover_every_scope() -> None:
    for row in ROWS:
        _, path, by_role, by_scope = parse(row)
        assert len(by_role) == len(ROLES)
        is_rest = path.startswith("/api/") and path != "/api/v1/docs/"
        assert len(by_scope) == (len(SCOPES) if is_rest else 0), row


def addresses(patterns: list[Any], before: str = "") -> list[tuple[str, URLPattern]]:
    found: list[tuple[str, URLPattern]] = []
    for each in patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLResolver):
            found += addresses(each.url_patterns, route)
        else:
            found.append((route, each))
    return found


def test_every_address_is_in_the_table(db: None) -> None:
    world = build_world()
    told: set[tuple[str, str]] = set()
    for row in ROWS:
        method, path, *_ = parse(row)
        if path != "/nowhere/":
            told.add((resolve(world.fill(path)).route, method))
    known = {(re.sub(r"[\\^$]", "", route), method) for route, method in told}
    missing = []
    for route, pattern in addresses(get_resolver().url_patterns):
        plain = re.sub(r"[\\^$]", "", route)
        actions = getattr(pattern.callback, "actions", None)
        # Views say themselves which methods they take; one of them in the table will do.
        ways = [{name.upper()} for name in actions if name != "head"] if actions else [PAGE_METHODS]
        missing += [f"{way} {route}" for way in ways if not any((plain, m) in known for m in way)]
    assert missing == []
