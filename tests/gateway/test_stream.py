"""`/v1/entities:stream` over a real socket, before a scripted inference service."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import repeat
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from gateway import client
from gateway.settings import GatewaySettings
from protos.ner.v1 import entity_recognizer_pb2 as pb
from tests.certificates import Authority
from tests.duplex import Duplex, duplex
from tests.gateway.conftest import Serve
from tests.gateway.polling import until
from tests.gateway.scripted_inference import ScriptedInference, find_names

_URL = "/v1/entities:stream"
_PENDING = 4
_LIMIT_S = 20


def _duplex(http: httpx.AsyncClient, *headers: str) -> AbstractAsyncContextManager[Duplex]:
    assert http.base_url.port is not None
    return duplex(http.base_url.port, _URL, *headers)


def _line(number: int, text: str = "Tim") -> bytes:
    return json.dumps({"id": number, "text": text}).encode() + b"\n"


async def _pending(http: httpx.AsyncClient) -> float:
    text = (await http.get("/metrics")).text
    (found,) = [
        line for line in text.splitlines() if line.startswith("gateway_stream_items_pending ")
    ]
    return float(found.split()[1])


async def _has_pending(http: httpx.AsyncClient, items: int) -> bool:
    return await _pending(http) == items


async def _no_stream(inference: ScriptedInference) -> bool:
    return inference.open_streams == 0


async def _nothing_pending(http: httpx.AsyncClient) -> bool:
    return await _pending(http) == 0


@pytest.fixture
def settings(settings: GatewaySettings) -> GatewaySettings:
    """Settings with a small window."""
    return settings.model_copy(
        update={"stream_pending_items": _PENDING, "stream_max_line_bytes": 20_000}
    )


async def _wait_for_word(request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
    """Never answers a text that says so."""
    if "wait" in request.texts[0]:
        await asyncio.Event().wait()
    return await find_names(request, context)


async def test_lines_are_answered_in_order_and_a_bad_one_does_not_end_the_stream(
    http: httpx.AsyncClient,
) -> None:
    body = b'{"text": "Tim"}\n{\n\n{"id": "e", "text": ""}\n' + b"x" * 30_000 + b"\n" + _line(6)
    response = await http.post(_URL, content=body.rstrip())
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-ndjson"
    first, malformed, empty, long, last = map(json.loads, response.text.splitlines())
    assert (first["line"], first["entities"][0]["text"]) == (1, "Tim")
    assert (malformed["line"], malformed["error"]["reason"]) == (2, "MALFORMED_JSON")
    assert (empty["id"], empty["error"]["reason"]) == ("e", "TEXT_EMPTY")
    assert (long["line"], long["error"]["reason"]) == (5, "BODY_TOO_LARGE")
    assert (last["id"], last["line"], last["model"], last["version"]) == (6, 6, "ner-en", "1")
    assert await _pending(http) == 0


async def test_the_limit_of_a_body_does_not_hold_for_a_stream(
    http: httpx.AsyncClient, settings: GatewaySettings
) -> None:
    lines = b"".join(_line(number, "Tim " * 200) for number in range(500))
    assert len(lines) > 4 * settings.max_body_bytes
    response = await http.post(_URL, content=lines)
    assert [json.loads(line)["id"] for line in response.text.splitlines()] == list(range(500))


async def test_a_line_is_answered_before_the_next_is_sent(http: httpx.AsyncClient) -> None:
    async with _duplex(http) as caller:
        assert (await caller.head()).startswith(b"HTTP/1.1 200")
        for number in range(3):
            await caller.send(_line(number))
            assert (await caller.line())["id"] == number
        caller.end()
        assert await caller.line() == {}


async def test_a_caller_that_waits_to_be_told_to_go_on_is_told(http: httpx.AsyncClient) -> None:
    async with _duplex(http, "expect: 100-continue") as caller:
        assert (await caller.head()).startswith(b"HTTP/1.1 100")
        assert (await caller.head()).startswith(b"HTTP/1.1 200")
        await caller.send(_line(1))
        assert (await caller.line())["id"] == 1


async def test_options_of_the_query_string_hold_for_the_stream(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    query = "?labels=PER&labels=ORG&min_score=0.5&model=ner-en&aggregation=max&offset_unit=byte"
    assert (await http.post(_URL + query, content=_line(1))).status_code == 200
    (start,) = inference.stream_starts
    assert (start.model, list(start.options.labels)) == ("ner-en", ["PER", "ORG"])
    assert (start.options.aggregation, start.options.offset_unit) == (pb.MAX, pb.BYTE)


@pytest.mark.parametrize(
    ("query", "content_type", "status"),
    [("?label=PER", "application/x-ndjson", 422), ("", "text/plain", 415)],
)
async def test_a_request_that_cannot_be_is_refused_with_a_problem(
    http: httpx.AsyncClient, query: str, content_type: str, status: int
) -> None:
    response = await http.post(
        _URL + query, content=_line(1), headers={"content-type": content_type}
    )
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("ended", [True, False])
async def test_a_caller_that_goes_away_leaves_nothing_in_flight(
    http: httpx.AsyncClient, inference: ScriptedInference, ended: bool
) -> None:
    inference.script = _wait_for_word
    async with _duplex(http) as caller:
        await caller.send(_line(1, "wait") + _line(2))
        if ended:
            caller.end()
        async with asyncio.timeout(_LIMIT_S):
            await inference.arrived.wait()
        await until(lambda: _has_pending(http, 2), _LIMIT_S)
        await caller.cut()
        async with asyncio.timeout(_LIMIT_S):
            await inference.cancelled.wait()
        await until(lambda: _nothing_pending(http), _LIMIT_S)
    await until(lambda: _no_stream(inference), _LIMIT_S)


async def test_a_caller_that_does_not_read_is_slowed_and_nobody_else(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    """The gateway takes a window full of lines and then no more, from socket or gRPC."""
    # 8 MB to send, and twice as much to read: more than sockets hold.
    total, text = 400, "Tim " * 500 + " " * 17_000
    async with _duplex(http) as caller:
        contents = (_line(number, text) for number in range(total))
        sending = asyncio.create_task(caller.send_all(contents))
        before = -1
        while before != len(inference.requests):
            before = len(inference.requests)
            for _ in range(20):
                assert await _pending(http) <= _PENDING
            await asyncio.sleep(0.2)
        assert not sending.done(), "the socket is full: nobody reads from it"
        assert 0 < before < total
        assert (await http.post("/v1/entities", json={"text": "Tim"})).status_code == 200

        await caller.head()
        for number in range(total):
            assert (await caller.line())["id"] == number
        await sending
        assert await caller.line() == {}
        await until(lambda: _nothing_pending(http), _LIMIT_S)


async def test_a_caller_that_sends_nothing_is_told_and_ended(
    settings: GatewaySettings, serve: Serve, inference: ScriptedInference
) -> None:
    options = settings.model_copy(update={"stream_idle_timeout_s": 0.2})
    async with serve(options) as http, _duplex(http) as caller:
        await caller.head()
        await caller.send(_line(1))
        assert (await caller.line())["id"] == 1
        last = await caller.line()
        assert last["error"]["reason"] == "DEADLINE_EXCEEDED"
        assert "line" not in last
        assert await caller.line() == {}
        await until(lambda: _no_stream(inference), _LIMIT_S)


async def test_a_caller_that_waits_for_a_slow_answer_is_not_idle(
    settings: GatewaySettings, serve: Serve, inference: ScriptedInference
) -> None:
    release = asyncio.Event()

    async def slow(request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        await release.wait()
        return await find_names(request, context)

    inference.script = slow
    options = settings.model_copy(update={"stream_idle_timeout_s": 0.1})
    async with serve(options) as http, _duplex(http) as caller:
        await caller.send(_line(1))
        await asyncio.sleep(0.5)  # several timeouts
        release.set()
        await caller.head()
        assert (await caller.line())["id"] == 1


async def test_a_caller_that_never_reads_is_given_up(
    settings: GatewaySettings, serve: Serve, inference: ScriptedInference
) -> None:
    options = settings.model_copy(update={"stream_idle_timeout_s": 0.5})
    async with serve(options) as http, _duplex(http) as caller:
        sending = asyncio.create_task(caller.send_all(repeat(_line(1, "Tim " * 1_000))))
        await until(lambda: _has_pending(http, _PENDING), _LIMIT_S)
        await until(lambda: _nothing_pending(http), _LIMIT_S)
        sending.cancel()
    assert inference.requests


async def test_when_inference_goes_away_the_stream_says_so_and_ends(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    async with _duplex(http) as caller:
        await caller.send(_line(1))
        await caller.head()
        assert (await caller.line())["id"] == 1
        inference.script = _wait_for_word
        await caller.send(_line(2, "wait") + _line(3))
        await until(lambda: _has_pending(http, 2), _LIMIT_S)
        await inference.stop()
        last = await caller.line()
        assert last["error"]["reason"] == "INFERENCE_UNAVAILABLE"
        assert "line" not in last
        assert await caller.line() == {}
        await until(lambda: _nothing_pending(http), _LIMIT_S)


@pytest.mark.parametrize("signed", [False, True], ids=["plain", "intercepted"])
@pytest.mark.parametrize("lines", [2, _PENDING + 1], ids=["silent", "at the window's end"])
async def test_a_stream_that_outlives_the_old_certificates_says_so_and_ends(
    serve: Serve,
    settings: GatewaySettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    signed: bool,
    lines: int,
) -> None:
    """Closing the old channel cancels its calls, which is not the cancelling of their tasks."""
    monkeypatch.setattr(client, "_OLD_CALLS_S", 0.1)
    authority = Authority(tmp_path, "ours")
    token = tmp_path / "token"
    token.write_text("any")
    async with _secured(authority) as inference:
        inference.script = _wait_for_word
        changed = {
            "inference_target": f"dns:///localhost:{inference.port}",
            "inference_ca_file": authority.file,
            "inference_token_file": token if signed else None,
            "stream_idle_timeout_s": 1.0,
        }
        async with serve(settings.model_copy(update=changed)) as http, _duplex(http) as caller:
            await caller.send(b"".join(_line(number, "wait") for number in range(lines)))
            await caller.head()
            await until(lambda: _has_pending(http, min(lines, _PENDING)), _LIMIT_S)
            more = Authority(tmp_path, "new").file.read_bytes()
            authority.file.write_bytes(authority.file.read_bytes() + more)
            async with asyncio.timeout(_LIMIT_S):
                last = await caller.line()
                assert last["error"]["reason"] == "INFERENCE_UNAVAILABLE"
                assert await caller.line() == {}
            await until(lambda: _nothing_pending(http), _LIMIT_S)


@asynccontextmanager
async def _secured(authority: Authority) -> AsyncIterator[ScriptedInference]:
    """An inference service with a certificate of this authority."""
    issued = authority.issue("inference")
    pair = (issued.key.read_bytes(), issued.certificate.read_bytes())
    inference = ScriptedInference()
    inference.credentials = grpc.ssl_server_credentials([pair])
    await inference.start()
    try:
        yield inference
    finally:
        await inference.stop()


async def test_without_inference_a_stream_is_refused_with_a_problem(serve: Serve) -> None:
    settings = GatewaySettings(inference_target="dns:///127.0.0.1:1")
    async with serve(settings) as http:
        response = await http.post(_URL, content=_line(1))
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


async def test_many_streams_do_not_mix(http: httpx.AsyncClient) -> None:
    async def lines(stream: int) -> AsyncIterator[bytes]:
        for number in range(50):
            yield _line(1_000 * stream + number)

    async def call(stream: int) -> list[int]:
        response = await http.post(_URL, content=lines(stream))
        return [json.loads(line)["id"] for line in response.text.splitlines()]

    answers = await asyncio.gather(*map(call, range(10)))
    assert answers == [[1_000 * stream + number for number in range(50)] for stream in range(10)]
