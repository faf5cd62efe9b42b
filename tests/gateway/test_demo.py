import json
from typing import Any

import grpc
import httpx
import pytest

from protos.ner.v1 import entity_recognizer_pb2 as pb
from tests.gateway.scripted_inference import ScriptedInference, refuse

_URL = "/api"
_PAGE = {"Origin": "https://page.example"}


async def _paris(request: pb.RecognizeRequest, _context: Any) -> pb.RecognizeResponse:
    start = request.texts[0].index("Paris")
    entity = pb.Entity(text="Paris", label="LOC", start=start, end=start + 5, score=1)
    return pb.RecognizeResponse(results=[pb.TextResult(entities=pb.Entities(entities=[entity]))])


@pytest.mark.parametrize("text", ["I love Paris", "I love Paris!"])
async def test_the_classic_answer_is_exact(
    http: httpx.AsyncClient, inference: ScriptedInference, text: str
) -> None:
    inference.script = _paris
    answer = await http.post(_URL, json=text)
    assert answer.status_code == 200
    assert answer.json() == {"input": "I love Paris ", "output": "O O    B-LOC "}
    assert inference.requests[0].texts == [text], "entities are found in the original text"


@pytest.mark.parametrize("text", ["", "  ", "?!"])
async def test_a_text_without_words_is_answered_without_the_model(
    http: httpx.AsyncClient, inference: ScriptedInference, text: str
) -> None:
    answer = await http.post(_URL, json=text)
    assert answer.json() == {"input": "  ", "output": "O "}
    assert not inference.requests


async def test_a_browser_is_told_that_any_page_may_call(http: httpx.AsyncClient) -> None:
    asked = {
        **_PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = await http.options(_URL, headers=asked)
    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "content-type" in answer.headers["access-control-allow-headers"]


async def test_a_page_may_read_answers_and_problems(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    inference.script = refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", retry_s=1)
    answers = [
        await http.post(_URL, json="", headers=_PAGE),
        await http.post(_URL, json="I love Paris", headers=_PAGE),
        await http.post(_URL, json=["Paris"], headers=_PAGE),
        await http.post(_URL, content=b'"Paris', headers=_PAGE),
        await http.post(_URL, json="x" * 200_000, headers=_PAGE),
        await http.get(_URL, headers=_PAGE),
    ]
    assert [answer.status_code for answer in answers] == [200, 429, 422, 415, 413, 405]
    assert {answer.headers["access-control-allow-origin"] for answer in answers} == {"*"}
    assert answers[-1].headers["allow"] == "POST"


async def test_no_other_path_is_open_to_pages(http: httpx.AsyncClient) -> None:
    for path in ("/v1/entities", "/healthz", "/api/", "/nowhere"):
        answer = await http.options(path, headers=_PAGE)
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("body", [["Paris"], {"text": "Paris"}, 1, None, True])
async def test_anything_but_a_string_is_refused(http: httpx.AsyncClient, body: Any) -> None:
    headers = {"content-type": "application/json"}
    answer = await http.post(_URL, content=json.dumps(body), headers=headers)
    assert answer.status_code == 422
    assert answer.json()["reason"] == "FIELD_INVALID"
    assert "Paris" not in answer.text
