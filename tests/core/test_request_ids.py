"""One id per request: echoed, in the error, in the log line."""

import logging
import re

import pytest
from rest_framework.test import APIClient

from apps.core.logs import RequestIdFilter
from apps.core.requests import current_request_id

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.resources")]
UNKNOWN = "/api/v1/nothing/"


def test_well_formed_id_is_taken_over(api: APIClient) -> None:
    response = api.get(UNKNOWN, headers={"X-Request-Id": "order-4711.a_B"})
    assert response["X-Request-Id"] == "order-4711.a_B"
    assert response.json()["request_id"] == "order-4711.a_B"


@pytest.mark.parametrize("given", ["", "short", "a" * 65, "with space", "new\\nline", "<script>"])
def test_other_ids_are_replaced(api: APIClient, given: str) -> None:
    response = api.get(UNKNOWN, headers={"X-Request-Id": given})
    assert re.fullmatch("[0-9a-f]{32}", response["X-Request-Id"])
    assert response.json()["request_id"] == response["X-Request-Id"]


def test_every_request_gets_another(api: APIClient) -> None:
    assert len({api.get(UNKNOWN)["X-Request-Id"] for _ in range(5)}) == 5


def test_log_line_carries_the_id(api: APIClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(only := RequestIdFilter())
    api.post("/api/v1/things/bug/", headers={"X-Request-Id": "the-failing-one"})
    caplog.handler.removeFilter(only)
    bugs = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.__dict__["request_id"] for record in bugs] == ["the-failing-one"]


def test_outside_a_request_there_is_none() -> None:
    record = logging.LogRecord("x", logging.INFO, "x", 1, "x", None, None)
    assert RequestIdFilter().filter(record)
    assert record.__dict__["request_id"] == current_request_id()
