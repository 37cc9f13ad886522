"""Every operation of REST does what the OpenAPI document says, whatever it is sent."""

import functools
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from drf_spectacular.renderers import OpenApiJsonRenderer
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from apps.core.schema import document
from tests.api.world import World, make_world

portal = functools.cache(get_wsgi_application)


def serve(environ: Any, start_response: Any) -> Any:
    """The portal, loaded at the first request: at import its folders are not there yet."""
    return portal()(environ, start_response)


SCHEMA = schemathesis.openapi.from_dict(json.loads(OpenApiJsonRenderer().render(document())))
SCHEMA.app = serve
OPERATIONS: dict[str, Any] = {
    each.ok().definition.raw["operationId"]: each.ok() for each in SCHEMA.get_all_operations()
}
# No schema can say that a project must exist or a name be free, so good data may be refused.
EXCLUDED = [positive_data_acceptance]
REPEATABLE = settings(
    max_examples=30,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def world(db: None) -> Iterator[World]:
    """A fresh world per operation, undone by the test's transaction, which requests share."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield make_world()
    for signal in signals:
        signal.connect(close_old_connections)


def send(case: Case, world: World) -> int:
    response = case.call_and_validate(headers=world.headers, excluded_checks=EXCLUDED)
    return response.status_code


def real_path(operation: Any, world: World) -> dict[str, str]:
    names = [each.name for each in operation.path_parameters]
    return world.path_parameters(operation.path, names)


def real_cases(operation: Any, world: World) -> list[Case]:
    """The same request twice as somebody would send it; the second may find its object gone."""
    body = world.bodies.get(operation.definition.raw["operationId"], {})
    sent = {"body": body, "media_type": "application/json"} if operation.body else {}
    return [operation.Case(path_parameters=real_path(operation, world), **sent) for _ in range(2)]


def any_case(operation: Any, world: World) -> st.SearchStrategy[Case]:
    """What the document allows and what it does not, at real addresses and made-up ones."""
    fixed: list[dict[str, Any]] = [{}]
    if operation.path_parameters:
        fixed.append({"path_parameters": real_path(operation, world)})
    return st.one_of(
        operation.as_strategy(generation_mode=mode, headers=world.headers, **each)
        for mode in GenerationMode
        for each in fixed
    )


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_keeps_its_word(name: str, world: World) -> None:
    operation: APIOperation = OPERATIONS[name]
    answers: Counter[int] = Counter(send(case, world) for case in real_cases(operation, world))

    @REPEATABLE
    @given(any_case(operation, world))
    def holds(case: Case) -> None:
        answers[send(case, world)] += 1

    holds()
    reached = {status // 100 for status in answers}
    assert 2 in reached, f"{name} never succeeded: {answers}"
    assert 4 in reached, f"{name} refused nothing: {answers}"
