from typing import Any

import httpx
import pytest

from gateway.errors import GatewayError
from gateway.hub import classify_answer, classify_request
from gateway.schemas import HUB_BODY
from gateway.settings import GatewaySettings
from protos.ner.v1 import entity_recognizer_pb2 as pb
from tests.gateway.conftest import Serve

_URL = "/models/ner-en"


def _call(body: dict[str, Any]) -> pb.ClassifyRequest:
    return classify_request("ner-en", HUB_BODY.validate_python(body))


def test_what_is_not_sent_has_the_hubs_default() -> None:
    nothing = {"aggregation_strategy": None, "ignore_labels": None, "stride": None}
    for body in ({"inputs": "a"}, {"inputs": "a", "parameters": nothing}):
        call = _call(body)
        assert (call.model, list(call.texts)) == ("ner-en", ["a"])
        assert (call.aggregation, list(call.ignore_labels)) == (pb.SIMPLE, ["O"])
        assert not call.HasField("stride")


def test_every_parameter_travels() -> None:
    parameters = {"aggregation_strategy": "max", "ignore_labels": [], "stride": 0}
    call = _call({"inputs": ["a", "b"], "parameters": parameters})
    assert (call.aggregation, list(call.ignore_labels)) == (pb.MAX, [])
    assert call.HasField("stride")
    assert list(call.texts) == ["a", "b"]


def test_a_text_that_failed_is_named() -> None:
    body = HUB_BODY.validate_python({"inputs": ["a", "b"]})
    error = pb.TextError(reason=pb.TEXT_TOO_LONG, detail="too long")
    results = [
        pb.TextClassification(groups=pb.TokenGroups()),
        pb.TextClassification(error=error),
    ]
    with pytest.raises(GatewayError, match=r"inputs\.1: too long"):
        classify_answer(body, pb.ClassifyResponse(results=results))


@pytest.mark.parametrize(
    ("request_", "status", "reason", "says"),
    [
        ({"json": {"inputs": []}}, 422, "NO_TEXTS", "at least one"),
        ({"json": {"text": "a"}}, 422, "FIELD_INVALID", "inputs: Field required"),
        (
            {"json": {"inputs": "a", "parameters": {"best": 1}}},
            422,
            "FIELD_INVALID",
            "parameters.best",
        ),
        ({"content": b"{"}, 415, "UNSUPPORTED_MEDIA_TYPE", "application/json"),
        (
            {"content": b"{", "headers": {"content-type": "application/json"}},
            400,
            "MALFORMED_JSON",
            "",
        ),
        ({"json": {"inputs": "x" * 200_000}}, 413, "BODY_TOO_LARGE", "100000 bytes"),
    ],
)
async def test_errors_have_the_hubs_form(
    http: httpx.AsyncClient, request_: dict[str, Any], status: int, reason: str, says: str
) -> None:
    answer = await http.post(_URL, **request_)
    body = answer.json()
    assert (answer.status_code, body["error_type"]) == (status, reason)
    assert answer.headers["content-type"] == "application/json"
    assert body["request_id"] == answer.headers["x-request-id"]
    assert says in body["error"]


async def test_another_method_is_refused_in_the_hubs_form(http: httpx.AsyncClient) -> None:
    answer = await http.get(_URL)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error_type"] == "METHOD_NOT_ALLOWED"


async def test_without_an_inference_service_the_caller_is_told_when_to_come_back(
    serve: Serve,
) -> None:
    settings = GatewaySettings(inference_target="dns:///127.0.0.1:1")
    async with serve(settings) as http:
        answer = await http.post(_URL, json={"inputs": "a"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error_type"] == "INFERENCE_UNAVAILABLE"


async def test_other_paths_keep_their_problems(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/entities", json={})
    assert answer.headers["content-type"] == "application/problem+json"
