"""Overload at a real gateway: who is refused, what the refused are told, and when it is over."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import app
from gateway.settings import GatewaySettings
from protos.ner.v1 import entity_recognizer_pb2 as pb
from tests.gateway.conftest import Serve
from tests.gateway.keys_file import KeysFile
from tests.gateway.raw_http import BODY, CHUNKED_HEAD, GET, HEAD, TEXT, URL, connected, send_raw
from tests.gateway.scripted_inference import ScriptedInference, find_names

_LAST = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
_CROWD = 8


@pytest.fixture
def settings(settings: GatewaySettings, monkeypatch: pytest.MonkeyPatch) -> GatewaySettings:
    """One text may be under way, eight as a crowd; more is overload."""
    monkeypatch.setattr(app, "LEAST_UNDER_WAY", 1)
    return settings.model_copy(update={"joined_calls": 1, "joined_texts": 1, "keep_alive_s": 1})


@dataclass(frozen=True, slots=True)
class _Overloaded:
    """A gateway on which one text is under way until it is released."""

    http: httpx.AsyncClient
    first: "asyncio.Task[httpx.Response]"
    given_up: list[httpx.Response]
    release: asyncio.Event


@contextlib.asynccontextmanager
async def _overloaded(
    serve: Serve, settings: GatewaySettings, inference: ScriptedInference, **headers: str
) -> AsyncIterator[_Overloaded]:
    release = asyncio.Event()

    async def hold(request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        if request.texts[0].startswith("Tim"):
            await release.wait()
        return await find_names(request, context)

    inference.script = hold
    async with serve(settings) as http:
        ask = [
            asyncio.create_task(http.post(URL, json={"text": f"Tim {number}"}, headers=headers))
            for number in range(_CROWD + 1)
        ]
        async with asyncio.timeout(10):
            while sum(task.done() for task in ask) < _CROWD:
                await asyncio.wait(ask, return_when=asyncio.FIRST_COMPLETED, timeout=0.02)
        given_up = [task for task in ask if task.done()]
        (first,) = set(ask) - set(given_up)
        try:
            yield _Overloaded(http, first, [task.result() for task in given_up], release)
        finally:
            release.set()
            await first


@pytest.fixture
async def over(
    serve: Serve, settings: GatewaySettings, inference: ScriptedInference
) -> AsyncIterator[_Overloaded]:
    """A gateway that has just been asked for more than it may take."""
    async with _overloaded(serve, settings, inference) as over:
        yield over


async def _metric(http: httpx.AsyncClient, start: str) -> float:
    lines = (await http.get("/metrics")).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(start))


async def test_the_newest_of_too_many_are_given_up_and_the_first_is_answered(
    over: _Overloaded,
) -> None:
    assert [answer.status_code for answer in over.given_up] == [429] * _CROWD
    assert {answer.json()["reason"] for answer in over.given_up} == {"QUEUE_FULL"}
    assert {answer.headers["retry-after"] for answer in over.given_up} == {"1"}
    over.release.set()
    assert (await over.first).json()["entities"][0]["text"] == "Tim"


async def test_who_comes_then_is_refused_with_a_problem_and_nothing_is_asked(
    over: _Overloaded, inference: ScriptedInference
) -> None:
    answer = await over.http.post(URL, json=TEXT, headers={"X-Request-Id": "mine-1"})
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "more is asked than can be answered soon: try again in a second",
        "reason": "QUEUE_FULL",
        "request_id": "mine-1",
    }
    assert {text for request in inference.requests for text in request.texts} <= {"Tim 0"}


async def test_it_is_the_same_answer_whether_the_connection_or_the_app_gives_it(
    over: _Overloaded,
) -> None:
    """With an origin the app is asked, for it knows what a page may read."""
    own = await over.http.post(URL, json=TEXT, headers={"X-Request-Id": "a"})
    asked = await over.http.post(
        URL, json=TEXT, headers={"X-Request-Id": "a", "Origin": "https://page.test"}
    )
    assert own.json() == asked.json()
    assert {**own.headers, **asked.headers} == {**asked.headers, **own.headers}
    assert set(own.headers) <= set(asked.headers)


async def test_refusals_are_counted_and_the_overload_is_shown(over: _Overloaded) -> None:
    assert await _metric(over.http, "gateway_overloaded") == 1
    series = 'gateway_http_requests_total{method="POST",route="/v1/entities",status="429"}'
    failed = 'gateway_requests_failed_total{reason="QUEUE_FULL"}'
    before = await _metric(over.http, series), await _metric(over.http, failed)
    for _ in range(5):
        await over.http.post(URL, json=TEXT)
    assert await _metric(over.http, series) == before[0] + 5
    assert await _metric(over.http, failed) == before[1] + 5


async def test_refusals_are_no_fast_answers(over: _Overloaded) -> None:
    """Whether the connection gives them or the app: latency would look best under overload."""
    for headers in ({}, {"Origin": "https://page.test"}):
        assert (await over.http.post(URL, json=TEXT, headers=headers)).status_code == 429
    taken = 'gateway_http_request_duration_seconds_count{route="/v1/entities"}'
    assert await _metric(over.http, taken) == 0
    over.release.set()
    await over.first
    assert await _metric(over.http, taken) == 1


async def test_a_connection_serves_on_after_a_refusal(over: _Overloaded) -> None:
    request = HEAD + b"\r\n" + BODY
    async with connected(over.http) as connection:
        for _ in range(3):
            await connection.send(request)
            assert b"429" in await connection.reader.readuntil(b'"}')
        await connection.send(_LAST)
        assert (await connection.answer()).statuses == [200]


async def test_who_is_refused_again_and_again_is_not_idle(over: _Overloaded) -> None:
    """Kept alive for a second after each refusal, and no longer."""
    async with connected(over.http) as connection:
        for _ in range(5):
            await connection.send(HEAD + b"\r\n" + BODY)
            assert b"429" in await connection.reader.readuntil(b'"}')
            await asyncio.sleep(0.4)
        assert (await connection.answer()).raw == b""


@pytest.mark.parametrize(
    "parts",
    [
        [HEAD + b"\r\n", BODY],
        [HEAD + b"\r\n" + BODY[:4], BODY[4:]],
        [HEAD[:30], HEAD[30:] + b"\r\n" + BODY],
        [HEAD + b"expect: 100-continue\r\n\r\n" + BODY],
        [HEAD + b"connection: close\r\n\r\n" + BODY],
        [GET + HEAD + b"\r\n" + BODY],
    ],
    ids=["head", "half a body", "half a head", "expect", "close", "behind another"],
)
async def test_a_request_that_comes_otherwise_is_refused_too(
    over: _Overloaded, parts: list[bytes]
) -> None:
    async with connected(over.http) as connection:
        for part in parts:
            await connection.send(part)
            await asyncio.sleep(0.02)
        answer = await connection.reader.readuntil(b'"QUEUE_FULL"')
    assert b"HTTP/1.1 429" in answer


async def test_a_large_body_that_follows_its_head_is_not_taken_for_a_large_head(
    over: _Overloaded,
) -> None:
    body = json.dumps({"text": "Tim " * 20_000}).encode()
    head = HEAD.replace(str(len(BODY)).encode(), str(len(body)).encode())
    async with connected(over.http) as connection:
        for part in (head + b"\r\n", body[:40_000], body[40_000:]):
            await connection.send(part)
            await asyncio.sleep(0.02)
        assert b"HTTP/1.1 429" in await connection.reader.readuntil(b'"QUEUE_FULL"')


async def test_a_large_request_that_has_begun_to_arrive_is_not_refused_as_a_large_head(
    over: _Overloaded,
) -> None:
    body = json.dumps({"text": "Tim " * 20_000}).encode()
    head = HEAD.replace(str(len(BODY)).encode(), str(len(body)).encode())
    async with connected(over.http) as connection:
        await connection.send(head + b"\r\n" + body[:40_000])
        await asyncio.sleep(0.02)
        await connection.send(body[40_000:])
        assert b"HTTP/1.1 429" in await connection.reader.readuntil(b'"QUEUE_FULL"')


async def test_a_bad_chunk_is_400_and_asks_nobody(
    over: _Overloaded, inference: ScriptedInference
) -> None:
    over.release.set()
    answer = await send_raw(over.http, CHUNKED_HEAD + b"\r\nzz\r\n")
    assert answer.statuses == [400]
    assert {text for request in inference.requests for text in request.texts} <= {"Tim 0"}


async def test_fields_behind_a_body_do_not_name_the_request(over: _Overloaded) -> None:
    chunk = f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\nx-request-id: trailer\r\n\r\n"
    answer = await send_raw(over.http, CHUNKED_HEAD + b"\r\n" + chunk)
    assert answer.statuses == [429]
    assert b"trailer" not in answer.raw


async def test_who_reads_no_refusal_gets_no_more_of_them(over: _Overloaded) -> None:
    """The system's buffers hold some thousand; after that requests are read no further."""
    many = (HEAD + b"\r\n" + BODY) * 100
    series = 'gateway_http_requests_total{method="POST",route="/v1/entities",status="429"}'
    async with connected(over.http) as connection:
        with contextlib.suppress(TimeoutError):
            for _ in range(600):
                # Small enough to be read whole: half a request would go to the app, which waits.
                async with asyncio.timeout(1):
                    await connection.send(many)
                await asyncio.sleep(0.001)
        assert await _metric(over.http, series) < 50_000
        connection.writer.transport.abort()
        await asyncio.sleep(0.2)  # until the gateway has noticed


async def test_refused_and_other_requests_behind_each_other_are_answered_in_order(
    over: _Overloaded,
) -> None:
    request = HEAD + b"\r\n" + BODY
    answer = await send_raw(over.http, request + GET + request + request)
    assert answer.statuses == [429, 200, 429, 429]


@pytest.mark.parametrize(
    "body",
    [
        {"text": "Ann", "priority": "bulk"},
        {"text": "Ann", "model": "other"},
        {"text": "Ann", "timings": True},
        {"texts": ["Ann", "Bo"]},
    ],
    ids=str,
)
async def test_what_is_no_ordinary_text_goes_its_way(over: _Overloaded, body: object) -> None:
    asked = asyncio.create_task(over.http.post(URL, json=body))
    await asyncio.sleep(0.05)
    over.release.set()
    assert (await asked).status_code == 200


@pytest.mark.parametrize(
    "more",
    [{"priority": "interactive"}, {"model": None}, {"offset_unit": "utf16"}, {"labels": ["PER"]}],
    ids=str,
)
async def test_who_writes_defaults_or_wants_less_is_ordinary_too(
    over: _Overloaded, more: dict[str, Any]
) -> None:
    """Though some of it shows only once the body is parsed."""
    answer = await over.http.post(URL, json=TEXT | more)
    assert (answer.status_code, answer.json()["reason"]) == (429, "QUEUE_FULL")


async def test_a_text_may_speak_of_priorities_and_models(over: _Overloaded) -> None:
    """It is ordinary all the same: in a text the quotation marks are escaped."""
    answer = await over.http.post(URL, json={"text": 'He said "priority", and "model".'})
    assert answer.status_code == 429


async def test_the_overload_is_over_also_where_nobody_comes_any_more(over: _Overloaded) -> None:
    async with asyncio.timeout(10):
        while await _metric(over.http, "gateway_overloaded"):  # noqa: ASYNC110 - a server's metric
            await asyncio.sleep(0.5)


async def test_a_second_after_the_overload_all_are_answered_again(
    over: _Overloaded, inference: ScriptedInference
) -> None:
    over.release.set()
    await over.first
    inference.script = find_names
    async with asyncio.timeout(10):
        while await _metric(over.http, "gateway_overloaded"):
            await over.http.post(URL, json=TEXT)
            await asyncio.sleep(0.05)
    answers = await asyncio.gather(*(over.http.post(URL, json=TEXT) for _ in range(_CROWD)))
    assert {answer.status_code for answer in answers} == {200}


async def test_without_a_key_nobody_is_told_of_the_load(
    serve: Serve, settings: GatewaySettings, inference: ScriptedInference, tmp_path: Path
) -> None:
    keys = KeysFile(tmp_path)
    bearer = keys.add("any")
    secured = settings.model_copy(update={"keys_file": keys.path})
    async with _overloaded(serve, secured, inference, **bearer) as over:
        assert (await over.http.post(URL, json=TEXT)).status_code == 401
        assert (await over.http.post(URL, json=TEXT, headers=bearer)).status_code == 429


async def test_without_a_limit_any_number_is_under_way(
    serve: Serve, settings: GatewaySettings, inference: ScriptedInference
) -> None:
    release = asyncio.Event()

    async def hold(request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        await release.wait()
        return await find_names(request, context)

    inference.script = hold
    async with serve(settings.model_copy(update={"crowd_ms": 0})) as http:
        asked = [asyncio.create_task(http.post(URL, json=TEXT)) for _ in range(5 * _CROWD)]
        await asyncio.sleep(0.3)
        release.set()
        assert {(await answer).status_code for answer in asked} == {200}
