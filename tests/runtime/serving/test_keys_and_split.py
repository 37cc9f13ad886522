"""Who may call an endpoint, and which release answers."""

import http.client
import json
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.runtime.serving.server import KEY, ROW, ScoringServer, digest, endpoint, release

SCORE = "/churn/small/score"
ROWS = {"rows": [ROW]}


@pytest.fixture
def two_keys(server: ScoringServer, onnx: Path) -> ScoringServer:
    keys = [
        {"id": "1", "digest": digest(KEY), "expires_at": None},
        {"id": "2", "digest": digest("ptk_old"), "expires_at": time.time() - 1},
        {"id": "3", "digest": digest("ptk_soon"), "expires_at": time.time() + 3600},
    ]
    other = [{"id": "4", "digest": digest("ptk_other"), "expires_at": None}]
    server.push(
        endpoint("small", [release("champion", onnx, 100)], keys=keys),
        endpoint("other", [release("theirs", onnx, 100)], keys=other),
    )
    return server


@pytest.mark.parametrize(
    ("authorization", "status", "says"),
    [
        ("", 401, "Send the endpoint's key"),
        ("Basic abc", 401, "another scheme"),
        ("Bearer ptk_wrong", 401, "no such key"),
        ("Bearer ptk_old", 401, "has expired"),
        ("Bearer ptk_other", 403, "opens another endpoint"),
        ("Bearer ptk_soon", 200, ""),
        (f"Bearer {digest(KEY)}", 401, "no such key"),
        ("Bearer \xff\xfe", 401, "no such key"),
    ],
)
def test_only_a_living_key_of_the_endpoint_opens_it(
    two_keys: ScoringServer, authorization: str, status: int, says: str
) -> None:
    answer = two_keys.post(SCORE, ROWS, Authorization=authorization)
    assert answer.status == status
    assert says in answer.body.get("detail", "")
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_revoked_key_is_refused_within_a_moment(two_keys: ScoringServer, onnx: Path) -> None:
    assert two_keys.post(SCORE, ROWS).status == 200
    began = time.monotonic()
    two_keys.push(endpoint("small", [release("champion", onnx, 100)], keys=[]))
    assert time.monotonic() - began < 1
    assert two_keys.post(SCORE, ROWS).status == 401


def releases_of(server: ScoringServer, count: int, **headers: str) -> Counter[str]:
    """Which releases answer so many requests on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    given = {"Authorization": f"Bearer {KEY}", **headers}
    found: Counter[str] = Counter()
    for _ in range(count):
        connection.request("POST", SCORE, json.dumps(ROWS), given)
        response = connection.getresponse()
        response.read()
        found[str(response.headers["X-Portolan-Release"])] += 1
    connection.close()
    return found


@pytest.fixture
def split(server: ScoringServer, onnx: Path) -> ScoringServer:
    both = [release("champion", onnx, 90), release("challenger", onnx, 10)]
    server.push(endpoint("small", [*both, release("candidate", onnx, 0)], sticky="household_id"))
    return server


def test_traffic_is_split_as_weighted(split: ScoringServer) -> None:
    found = releases_of(split, 5000)
    assert found["champion"] / 5000 == pytest.approx(0.9, abs=0.015)
    assert set(found) == {"champion", "challenger"}


def test_release_can_be_pinned_even_without_traffic(split: ScoringServer) -> None:
    assert releases_of(split, 20, **{"X-Portolan-Release": "candidate"}) == {"candidate": 20}
    answer = split.post(SCORE, ROWS, X_Portolan_Release="none")
    assert (answer.status, answer.body["detail"]) == (
        404,
        "X-Portolan-Release: this endpoint has no release called 'none'.",
    )


def test_equal_sticky_values_get_the_same_release(split: ScoringServer) -> None:
    by_header: Counter[str] = Counter()
    for number in range(300):
        found = [
            split.post(SCORE, {"rows": [{**ROW, "household_id": number}]}).body["release"],
            split.post(SCORE, ROWS, X_Portolan_Sticky=str(number)).body["release"],
        ]
        assert found[0] == found[1]
        by_header[found[0]] += 1
    assert by_header["champion"] / 300 == pytest.approx(0.9, abs=0.06)


def test_endpoint_without_traffic_says_so(server: ScoringServer, onnx: Path) -> None:
    server.push(endpoint("small", [release("champion", onnx, 0)]))
    answer = server.post(SCORE, ROWS)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert "Give one a weight" in answer.body["detail"]
    assert server.get("/churn/small/v2/health/ready").status == 200
