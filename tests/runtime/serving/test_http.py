"""HTTP/1.1 as clients really speak it, and as they should not."""

import json
import socket
import time

import pytest

from tests.runtime.serving.server import KEY, ROW, ScoringServer, endpoint, head, release
from tests.servers import wait_until

SCORE = "/churn/small/score"
BODY = json.dumps({"rows": [ROW]}).encode()
WHOLE = head(SCORE, f"Content-Length: {len(BODY)}") + BODY
LAST = head(SCORE, f"Content-Length: {len(BODY)}", "Connection: close") + BODY


def test_connection_is_kept_and_requests_are_pipelined_in_order(served: ScoringServer) -> None:
    wrong = head("/churn/none/score", "Content-Length: 2") + b"{}"
    answer = served.raw(WHOLE + wrong + WHOLE + LAST)
    parts = answer.split(b"HTTP/1.1 ")[1:]
    assert [each[:3] for each in parts] == [b"200", b"404", b"200", b"200"]
    assert b"Connection: close" in parts[3]


def test_body_may_come_in_chunks_and_pieces(served: ScoringServer) -> None:
    half = len(BODY) // 2
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(each), each) for each in (BODY[:half], BODY[half:], b"")
    )
    request = head(SCORE, "Transfer-Encoding: chunked", "Connection: close") + chunks
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        for place in range(0, len(request), 37):
            connection.sendall(request[place : place + 37])
            time.sleep(0.001)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


def test_chunks_beyond_the_limit_are_refused(served: ScoringServer) -> None:
    chunk = b"%x\r\n%b\r\n" % (8192, b" " * 8192)
    answer = served.raw(head(SCORE, "Transfer-Encoding: chunked") + chunk * 20)
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
    ],
)
def test_malformed_http_is_refused_and_the_connection_ended(
    served: ScoringServer, data: bytes
) -> None:
    answer = served.raw(data)
    status = answer.split(b"\r\n")[0]
    assert status.split()[1] in (b"400", b"404"), answer
    assert b"Connection: close" in answer
    assert served.get("/healthz").status == 200


def test_endless_headers_are_refused(served: ScoringServer) -> None:
    answer = served.raw(b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000)
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_client_that_waits_for_continue_is_told(served: ScoringServer) -> None:
    lines = (f"Content-Length: {len(BODY)}", "Expect: 100-continue", "Connection: close")
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(head(SCORE, *lines))
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 Continue\r\n")
        connection.sendall(BODY)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    refused = served.raw(head("/churn/none/score", *lines))
    assert refused.startswith(b"HTTP/1.1 404 ")


def test_upgrade_is_not_taken_up(served: ScoringServer) -> None:
    lines = ("Connection: Upgrade", "Upgrade: h2c", f"Content-Length: {len(BODY)}")
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(head(SCORE, *lines) + BODY)
        assert connection.recv(65536).startswith(b"HTTP/1.1 ")
    assert served.get("/healthz").status == 200


def test_old_http_closes_after_its_answer(served: ScoringServer) -> None:
    answer = served.raw(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert served.send("HEAD", "/healthz", None, {}).body == ""


def test_client_that_leaves_in_the_middle_harms_nobody(served: ScoringServer) -> None:
    for data in (WHOLE[:30], WHOLE[:-5], WHOLE):
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            connection.sendall(data)
    assert served.post(SCORE, {"rows": [ROW]}).status == 200


def test_readiness_and_metrics_tell_who_answers(served: ScoringServer) -> None:
    ready = served.get("/readyz")
    assert ready.status == 200
    assert ready.body["instance"] == served.get("/healthz").body["instance"] == "an-instance"
    assert ready.body["applied"] == served.number
    assert ready.body["releases"]["release-champion"] == "ready"
    served.post(SCORE, {"rows": [{}]})
    text = served.get("/metrics").body
    labels = 'endpoint="churn/small",release="champion"'
    assert f"portolan_requests_total{{{labels}}}" in text
    assert f'portolan_errors_total{{{labels},status="400"}}' in text
    assert f'portolan_latency_seconds_bucket{{{labels},le="+Inf"}}' in text


def test_what_is_under_way_is_answered_when_told_to_end(server: ScoringServer) -> None:
    slow = server.var.parent / "none"
    server.push(endpoint("small", [release("a", slow, 0)]))
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(WHOLE[:-5])
        wait_until(lambda: server.get("/healthz").status == 200)
        assert server.process
        server.process.terminate()
        time.sleep(0.1)
        connection.sendall(WHOLE[-5:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 503 ")
    began = time.monotonic()
    assert server.process.wait(5) == 0
    assert time.monotonic() - began < 1.5


def test_key_may_be_spelt_as_http_allows(served: ScoringServer) -> None:
    answer = served.post(SCORE, {"rows": [ROW]}, Authorization=f"bearer  {KEY} ")
    assert answer.status == 200
