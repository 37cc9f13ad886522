"""Every operation of REST does what the OpenAPI document says, whatever it is sent."""

import functools
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.db.models.signals import post_save
from drf_spectacular.renderers import OpenApiJsonRenderer
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from apps.core.schema import document
from apps.jobs.models import Job
from tests.api.world import World, answer_at_once, make_world

portal = functools.cache(get_wsgi_application)


def serve(environ: Any, start_response: Any) -> Any:
    """The portal, loaded at the first request: at import its folders are not there yet."""
    return portal()(environ, start_response)


SCHEMA = schemathesis.openapi.from_dict(json.loads(OpenApiJsonRenderer().render(document())))
SCHEMA.app = serve
OPERATIONS: dict[str, Any] = {
    each.definition.raw["operationId"]: each
    for each in (found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok))
}
AnyCase: TypeAlias = Case[Any]
# No schema can say that a project must exist or a name be free, so good data may be refused.
EXCLUDED: list[Any] = [positive_data_acceptance]
REPEATABLE = settings(
    max_examples=30,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def world(db: None, settings: Settings) -> Iterator[World]:
    """A fresh world per operation, undone by the test's transaction, which requests share."""
    # The thread that renews leases has a connection of its own, shut out by that transaction.
    settings.LEASE_SECONDS = 120
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    post_save.connect(answer_at_once, sender=Job)
    yield make_world()
    post_save.disconnect(answer_at_once, sender=Job)
    for signal in signals:
        signal.connect(close_old_connections)


class Caller:
    """Sends cases of one operation, checks the answers against the document and counts them."""

    def __init__(self, name: str, world: World) -> None:
        self.name, self.operation = name, OPERATIONS[name]
        self.credentials = world.credentials(name)
        self.path = world.path_parameters(name, self.operation.path)
        self.body = world.bodies.get(name, {})
        self.query = world.queries.get(name, {})
        self.answers: Counter[int] = Counter()

    def send(self, case: AnyCase, *, is_signed_in: bool = True) -> int:
        credentials: Any = self.credentials if is_signed_in else {}
        # With a session it would take the cookie for a made-up token; 401 is checked below.
        excluded = [*EXCLUDED, ignored_auth] if "cookies" in self.credentials else EXCLUDED
        response = case.call_and_validate(excluded_checks=excluded, **credentials)
        self.answers[response.status_code] += 1
        return response.status_code

    def real(self) -> AnyCase:
        """The request as somebody would send it."""
        media_type = next((each.media_type for each in self.operation.body), "")
        body = {"body": self.body, "media_type": media_type} if media_type else {}
        query = {"query": self.query} if self.query else {}
        case: AnyCase = self.operation.Case(path_parameters=self.path, **query, **body)
        return case

    def any(self) -> st.SearchStrategy[AnyCase]:
        """What the document allows and what it does not, at real addresses and made-up ones."""
        headers = self.credentials["headers"]
        fixed: list[dict[str, Any]] = [{}, {"path_parameters": self.path}]
        return st.one_of(
            [
                self.operation.as_strategy(generation_mode=mode, headers=headers, **each)
                for mode in GenerationMode
                for each in (fixed if self.path else fixed[:1])
            ]
        )


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_keeps_its_word(name: str, world: World) -> None:
    caller = Caller(name, world)
    assert caller.send(caller.real(), is_signed_in=False) == 401
    assert caller.send(caller.real()) in (200, 201, 202, 204)
    caller.send(caller.real())  # again: its object may be gone by now

    @REPEATABLE
    @given(caller.any())
    def holds(case: AnyCase) -> None:
        caller.send(case)

    holds()
    refused = {status for status in caller.answers if 400 <= status < 500}
    assert refused, f"{name} refused nothing: {caller.answers}"
