import json
from typing import Any

import grpc
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protos.ner.v1 import entity_recognizer_pb2 as pb
from tests.gateway.scripted_inference import ScriptedInference, find_names, refuse

_URL = "/v1/entities"
_MARK = "Merkel"
_JSON = {"content-type": "application/json"}


async def test_a_text_gets_its_entities(http: httpx.AsyncClient) -> None:
    answer = await http.post(_URL, json={"text": "Zoë met Tim"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "model": "ner-en",
        "version": "1",
        "entities": [
            {"text": "Zoë", "label": "PER", "start": 0, "end": 3, "score": 0.3},
            {"text": "Tim", "label": "PER", "start": 8, "end": 11, "score": 0.3},
        ],
    }
    assert "Zoë" in answer.text, "characters are written as they are, not escaped"


async def test_texts_get_results_in_order_and_fail_alone(http: httpx.AsyncClient) -> None:
    answer = await http.post(_URL, json={"texts": ["Tim", "", "nobody"], "timings": True})
    assert answer.status_code == 200
    body = answer.json()
    assert [result.get("entities", result.get("error")) for result in body["results"]] == [
        [{"text": "Tim", "label": "PER", "start": 0, "end": 3, "score": 0.3}],
        {"reason": "TEXT_EMPTY", "detail": "the text has no characters"},
        [],
    ]
    assert body["timings"]["inference_ns"] == 3


async def test_the_call_carries_options_deadline_and_request_id(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    body = {"text": "Tim", "labels": ["PER"], "offset_unit": "utf16", "aggregation": "none"}
    headers = {"X-Request-ID": "my-id:1", "X-Request-Timeout-Ms": "2500"}
    answer = await http.post(_URL, json=body, headers=headers)
    assert answer.headers["x-request-id"] == "my-id:1"
    assert inference.request_ids == ["my-id:1"]
    assert 0 < inference.deadlines_s[0] < 3, "gRPC rounds a deadline up a little"
    assert inference.requests[0].options == pb.RecognizeOptions(
        labels=["PER"], aggregation=pb.NONE, offset_unit=pb.UTF16, priority=pb.INTERACTIVE
    )


async def test_charset_utf_8_may_be_said(http: httpx.AsyncClient) -> None:
    headers = {"content-type": 'Application/JSON; charset="UTF-8"'}
    answer = await http.post(_URL, content=b'{"text": "Tim"}', headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("content", "headers", "status", "reason"),
    [
        (b'{"text": "Merkel', _JSON, 400, "MALFORMED_JSON"),
        (b"", _JSON, 400, "MALFORMED_JSON"),
        (b'{"text": "Merkel \\ud83d"}', _JSON, 400, "MALFORMED_JSON"),
        (b'{"text": "Merkel \xff"}', _JSON, 400, "MALFORMED_JSON"),
        (b'{"text": "Merkel"}', {}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"text": "Merkel"}', {"content-type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"text": "Merkel"}', {"content-type": "application/json; charset=utf-16"},
         415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'"Merkel"', _JSON, 422, "FIELD_INVALID"),
        (b'["Merkel"]', _JSON, 422, "FIELD_INVALID"),
        (b"{}", _JSON, 422, "FIELD_INVALID"),
        (b'{"text": "Merkel", "texts": ["Merkel"]}', _JSON, 422, "FIELD_INVALID"),
        (b'{"text": ["Merkel"]}', _JSON, 422, "FIELD_INVALID"),
        (b'{"texts": ["Merkel", 1]}', _JSON, 422, "FIELD_INVALID"),
        (b'{"text": "Merkel", "colour": "Merkel"}', _JSON, 422, "FIELD_INVALID"),
        (b'{"text": "Merkel", "min_score": 1.5}', _JSON, 422, "FIELD_INVALID"),
        (b'{"text": "Merkel", "min_score": "Merkel"}', _JSON, 422, "FIELD_INVALID"),
        (b'{"text": "Merkel", "aggregation": "Merkel"}', _JSON, 422, "FIELD_INVALID"),
        (b'{"text": "Merkel", "timings": 1}', _JSON, 422, "FIELD_INVALID"),
        (b'{"text": ""}', _JSON, 422, "TEXT_EMPTY"),
        (b'{"texts": []}', _JSON, 422, "NO_TEXTS"),
        (b'{"text": "' + b"Merkel" * 20_000 + b'"}', _JSON, 413, "BODY_TOO_LARGE"),
        (b'{"text": "Merkel"}', {**_JSON, "x-request-timeout-ms": "0"}, 422, "FIELD_INVALID"),
        (b'{"text": "Merkel"}', {**_JSON, "x-request-timeout-ms": "10001"}, 422, "FIELD_INVALID"),
        (b'{"text": "Merkel"}', {**_JSON, "x-request-timeout-ms": "soon"}, 422, "FIELD_INVALID"),
        (b'{"text": "Merkel"}', {**_JSON, "x-request-timeout-ms": "1" * 5000},
         422, "FIELD_INVALID"),
    ],
)  # fmt: skip
async def test_a_wrong_request_is_a_problem_that_repeats_nothing(
    http: httpx.AsyncClient,
    inference: ScriptedInference,
    content: bytes,
    headers: dict[str, str],
    status: int,
    reason: str,
) -> None:
    answer = await http.post(_URL, content=content, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "about:blank"
    assert (problem["status"], problem["reason"]) == (status, reason)
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["title"]
    assert problem["detail"]
    assert _MARK not in answer.text
    assert "Traceback" not in answer.text
    assert not inference.requests, "nothing wrong reaches the inference service"


async def test_a_field_at_fault_is_named(http: httpx.AsyncClient) -> None:
    answer = await http.post(_URL, json={"texts": ["a"], "min_score": 2, "colour": 1})
    assert {error["field"] for error in answer.json()["errors"]} == {"min_score", "colour"}


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND", 404),
        (grpc.StatusCode.NOT_FOUND, "VERSION_NOT_FOUND", 404),
        (grpc.StatusCode.INVALID_ARGUMENT, "LABEL_UNKNOWN", 422),
        (grpc.StatusCode.INVALID_ARGUMENT, "TOO_MANY_TEXTS", 422),
        (grpc.StatusCode.INVALID_ARGUMENT, "TEXT_TOO_LONG", 422),
        (grpc.StatusCode.UNAVAILABLE, "DRAINING", 503),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", 504),
    ],
)
async def test_the_inference_services_refusal_is_passed_on(
    http: httpx.AsyncClient,
    inference: ScriptedInference,
    code: grpc.StatusCode,
    reason: str,
    status: int,
) -> None:
    inference.script = refuse(code, reason, "change this")
    answer = await http.post(_URL, json={"text": "Tim"})
    assert answer.status_code == status
    assert (answer.json()["reason"], answer.json()["detail"]) == (reason, "change this")


async def test_a_full_queue_says_when_to_come_back(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    inference.script = refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", "full", retry_s=2.2)
    answer = await http.post(_URL, json={"text": "Tim"})
    assert answer.status_code == 429
    assert answer.json()["reason"] == "QUEUE_FULL"
    assert answer.headers["retry-after"] == "3"


async def test_a_single_text_that_fails_is_a_problem(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    async def too_long(_request: pb.RecognizeRequest, _context: Any) -> pb.RecognizeResponse:
        error = pb.TextError(reason=pb.ErrorReason.TEXT_TOO_LONG, detail="at most 9 characters")
        return pb.RecognizeResponse(results=[pb.TextResult(error=error)])

    inference.script = too_long
    answer = await http.post(_URL, json={"text": "Tim"})
    assert answer.status_code == 422
    assert answer.json()["reason"] == "TEXT_TOO_LONG"
    assert answer.json()["detail"] == "at most 9 characters"


async def test_a_fault_of_the_inference_service_shows_nothing_of_its_inside(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    async def fail(_request: pb.RecognizeRequest, _context: Any) -> pb.RecognizeResponse:
        raise KeyError(_MARK)

    inference.script = fail
    answer = await http.post(_URL, json={"text": "Tim"})
    assert answer.status_code == 500
    assert answer.json()["reason"] == "INTERNAL"
    assert _MARK not in answer.text


async def test_a_deadline_that_passes_is_504(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    async def wait(request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        await inference.cancelled.wait()
        return await find_names(request, context)

    inference.script = wait
    answer = await http.post(_URL, json={"text": "Tim"}, headers={"X-Request-Timeout-Ms": "50"})
    assert answer.status_code == 504
    assert answer.json()["reason"] == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize(("timeout_ms", "counted"), [(50, 499), (600, 504)])
async def test_a_deadline_of_the_callers_own_is_a_failure_only_if_an_answer_was_due(
    http: httpx.AsyncClient, inference: ScriptedInference, timeout_ms: int, counted: int
) -> None:
    """Or one caller with a deadline of a millisecond could wake somebody."""

    async def wait(request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        await inference.cancelled.wait()
        return await find_names(request, context)

    inference.script = wait
    header = {"X-Request-Timeout-Ms": str(timeout_ms)}
    assert (await http.post(_URL, json={"text": "Tim"}, headers=header)).status_code == 504
    series = f'gateway_http_requests_total{{method="POST",route="{_URL}",status="{counted}"}} 1.0'
    assert series in (await http.get("/metrics")).text


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(content=st.binary(max_size=50) | st.text(max_size=20).map(json.dumps).map(str.encode))
async def test_no_body_is_a_fault(http: httpx.AsyncClient, content: bytes) -> None:
    for body in (content, b'{"text": ' + content + b"}", b'{"texts": [' + content + b"]}"):
        answer = await http.post(_URL, content=body, headers=_JSON)
        assert answer.status_code in {200, 400, 422}
