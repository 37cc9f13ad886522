"""What is answered to rows, in three protocols, and what is refused of them."""

import json
from typing import Any

import pytest

from tests.runtime.serving.server import KEY, ROW, ScoringServer, head

SCORE, SUM = "/churn/small/score", "/churn/sum/score"


def test_rows_are_scored(served: ScoringServer) -> None:
    answer = served.post(SCORE, {"rows": [ROW, {**ROW, "household_id": 7, "week": None}]})
    assert answer.status == 200
    assert answer.headers["X-Portolan-Release"] == answer.body["release"] == "champion"
    assert answer.headers["X-Request-Id"] == answer.body["request_id"]
    first, second = answer.body["predictions"]
    assert first == second
    assert answer.body["labels"] == ["1" if first > 0.5 else "0"] * 2
    assert "probabilities" not in answer.body


def test_probabilities_are_given_where_asked_for(served: ScoringServer) -> None:
    answer = served.post(SCORE, {"rows": [ROW], "probabilities": True}).body
    assert answer["classes"] == ["0", "1"]
    assert answer["probabilities"][0][1] == answer["predictions"][0]
    assert sum(answer["probabilities"][0]) == pytest.approx(1)


def test_request_id_is_taken_from_the_caller_when_well_formed(served: ScoringServer) -> None:
    taken = served.post(SCORE, {"rows": [ROW]}, X_Request_Id="my-own.id_1")
    assert taken.body["request_id"] == taken.headers["X-Request-Id"] == "my-own.id_1"
    made = served.post(SCORE, {"rows": [ROW]}, X_Request_Id='"; x')
    assert made.headers["X-Request-Id"] not in ('"; x', "")


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3, 4.5]]}},
        {"dataframe_records": [{"a": 1, "b": 2}, {"a": 3, "b": 4.5}]},
        {"inputs": {"a": [1, 3], "b": [2, 4.5]}},
        {"inputs": [[1, 2], [3, 4.5]]},
        {"instances": [{"a": 1, "b": 2}, {"a": 3, "b": 4.5}]},
    ],
)
def test_mlflows_protocol_is_spoken(served: ScoringServer, body: dict[str, Any]) -> None:
    answer = served.post("/churn/sum/invocations", body)
    assert answer.status == 200
    assert answer.body == {"predictions": pytest.approx([3, 7.5], abs=1e-5)}


def test_mlflows_protocol_answers_with_labels_of_classes(served: ScoringServer) -> None:
    answer = served.post("/churn/small/invocations", {"dataframe_records": [ROW]})
    assert answer.body["predictions"] in ([0], [1])


def test_open_inference_protocol_is_spoken(served: ScoringServer) -> None:
    tensors = [
        {"name": "a", "shape": [2], "datatype": "FP64", "data": [1, 3]},
        {"name": "b", "shape": [2, 1], "datatype": "FP64", "data": [[2], [4.5]]},
    ]
    path = "/churn/sum/v2/models/sum"
    answer = served.post(f"{path}/infer", {"id": "mine", "inputs": tensors}).body
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("sum", "one", "mine")
    output = answer["outputs"][0]
    assert (output["name"], output["datatype"], output["shape"]) == ("prediction", "FP64", [2])
    assert output["data"] == pytest.approx([3, 7.5], abs=1e-5)
    wide = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    assert served.post(f"{path}/infer", {"inputs": [wide]}).status == 200


def test_open_inference_metadata_and_health_are_told(served: ScoringServer) -> None:
    assert served.get("/churn/small/v2/health/live").body == {"live": True}
    assert served.get("/churn/small/v2/models/small/ready").body == {"ready": True}
    key = {"Authorization": f"Bearer {KEY}"}
    told = served.send("GET", "/churn/small/v2/models/small", None, key).body
    assert told["inputs"][3] == {"name": "age", "datatype": "BYTES", "shape": [-1]}
    assert told["versions"] == ["champion"]
    assert served.get("/churn/small/v2/models/small").status == 401


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"spend": "a"}, "spend", "spend is a number"),
        ({"spend": None}, "spend", "must not be null"),
        ({"visits": 1.5}, "visits", "whole number"),
        ({"is_member": "yes"}, "is_member", "true or false"),
        ({"age": 3}, "age", "is a text"),
        ({"colour": "red"}, "colour", "not an input"),
        ({"household_id": "7"}, "household_id", "whole number"),
        ({"household_id": 2**70}, "household_id", "whole number"),
    ],
)
def test_wrong_field_is_refused_by_row_and_name(
    served: ScoringServer, change: dict[str, Any], field: str, says: str
) -> None:
    answer = served.post(SCORE, {"rows": [ROW, {**ROW, **change}]})
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert says in answer.body["detail"]
    error = answer.body["errors"][0]
    assert (error["row"], error["field"]) == (1, field)
    assert answer.body["request_id"] == answer.headers["X-Request-Id"]


def test_missing_field_is_refused_by_name(served: ScoringServer) -> None:
    answer = served.post(SCORE, {"rows": [{"spend": 1}]})
    assert (answer.status, answer.body["errors"][0]["field"]) == (400, "visits")


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        (SCORE, b"{", "not JSON"),
        (SCORE, b'{"rows": [{"spend": NaN}]}', "not JSON"),
        (SCORE, b'{"rows": [{"spend": 1e999}]}', "not JSON"),
        (SCORE, b"[" * 60_000, "not JSON"),
        (SCORE, b"\xff\xfe", "not JSON"),
        (SCORE, b"", "not JSON"),
        (SCORE, b"[]", "list of objects"),
        (SCORE, b'{"rows": {}}', "list of objects"),
        (SCORE, b'{"rows": []}', "no rows"),
        (SCORE, b'{"rows": [3]}', "A row is an object"),
        (SCORE, b'{"rows": [null]}', "A row is an object"),
        (SCORE, b'{"rows": [{}], "more": 1}', "no field called 'more'"),
        ("/churn/sum/invocations", b'{"data": [1]}', "as MLflow names them"),
        ("/churn/sum/invocations", b'{"inputs": {"a": [1], "b": [1, 2]}}', "different numbers"),
        ("/churn/sum/invocations", b'{"inputs": [[1]]}', "list of 2 values"),
        ("/churn/sum/invocations", b'{"dataframe_split": {"columns": 1}}', "columns (a list)"),
        ("/churn/sum/v2/models/sum/infer", b"{}", "a list of tensors"),
        (
            "/churn/sum/v2/models/sum/infer",
            b'{"inputs": [{"name": "a", "shape": [9], "data": [1]}]}',
            "shape of a does not fit",
        ),
    ],
)
def test_malformed_body_is_refused_plainly(
    served: ScoringServer, path: str, body: bytes, says: str
) -> None:
    answer = served.post(path, body)
    assert answer.status == 400
    assert says in answer.body["detail"]


def test_too_many_rows_are_refused(served: ScoringServer) -> None:
    answer = served.post(SUM, {"rows": [{"a": 1, "b": 2}] * 101})
    assert answer.status == 413
    assert "100" in answer.body["detail"]


@pytest.mark.parametrize("kind", ["text/csv", "application/x-www-form-urlencoded"])
def test_wrong_content_type_is_refused(served: ScoringServer, kind: str) -> None:
    answer = served.post(SCORE, {"rows": [ROW]}, Content_Type=kind)
    assert answer.status == 415
    assert "application/json" in answer.body["detail"]


def test_json_with_a_charset_is_json(served: ScoringServer) -> None:
    kind = "application/json; charset=utf-8"
    assert served.post(SCORE, {"rows": [ROW]}, Content_Type=kind).status == 200
    assert served.post(SCORE, b"x", Content_Encoding="gzip").status == 415


def test_ten_megabytes_are_refused_before_they_are_read(served: ScoringServer) -> None:
    lines = ("Content-Type: application/json", f"Content-Length: {10 * 1024 * 1024}")
    answer = served.raw(head(SCORE, *lines))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert "65,536 bytes" in json.loads(answer.partition(b"\r\n\r\n")[2])["detail"]
    assert served.post(SCORE, b" " * 10 * 1024 * 1024).status == 413
    assert served.post(SCORE, {"rows": [ROW]}).status == 200


def test_other_methods_and_addresses_are_refused(served: ScoringServer) -> None:
    answer = served.get(SCORE)
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert served.post("/churn/none/score", {"rows": [ROW]}).status == 404
    assert served.get("/").status == 404
    assert served.post("/churn/small/score/?a=1", {"rows": [ROW]}).status == 200


@pytest.mark.parametrize("endpoint", ["small", "sum"])
def test_row_alone_is_scored_as_among_others(served: ScoringServer, endpoint: str) -> None:
    plain = [{**ROW, "spend": spend, "age": age} for spend in (0.5, -4, 900) for age in ("old", "")]
    rows = plain if endpoint == "small" else [{"a": n / 7, "b": -(n**9)} for n in range(6)]
    path = f"/churn/{endpoint}/score"
    together = served.post(path, {"rows": rows, "probabilities": True}).body
    for name in ("predictions", "labels", "probabilities"):
        alone = [
            served.post(path, {"rows": [row], "probabilities": True}).body.get(name, [None])[0]
            for row in rows
        ]
        assert alone == together.get(name, [None] * len(rows))
    assert len(set(together["predictions"])) > 1
