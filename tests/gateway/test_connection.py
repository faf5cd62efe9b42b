"""Callers that are slow, greedy, or do not speak HTTP/1.1."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gateway.errors import Reason
from gateway.settings import GatewaySettings
from protos.ner.v1 import entity_recognizer_pb2 as pb
from tests.gateway.conftest import Serve
from tests.gateway.polling import until
from tests.gateway.raw_http import BODY, CHUNKED_HEAD, GET, HEAD, TEXT, URL, connected, send_raw
from tests.gateway.scripted_inference import ScriptedInference, find_names

_REFUSED = "gateway_connections_refused_total"
_SOON_S = 0.4
_LONG_S = 600.0


@pytest.fixture
def settings(settings: GatewaySettings) -> GatewaySettings:
    """Settings that wait long for everything: a test shortens what it is about."""
    return settings.model_copy(
        update={
            "header_timeout_s": _LONG_S,
            "body_timeout_s": _LONG_S,
            "send_timeout_s": _LONG_S,
            "keep_alive_s": 600,
            "max_head_bytes": 8192,
            "max_headers": 50,
        }
    )


async def _refusals(http: httpx.AsyncClient, reason: str) -> float:
    """How many connections were refused for a reason, by the metrics."""
    text = (await http.get("/metrics")).text
    lines = (line for line in text.splitlines() if line.startswith(_REFUSED))
    return sum(float(line.split()[1]) for line in lines if f'reason="{reason}"' in line)


@pytest.mark.parametrize("sent", [b"GET", b"GET /healthz HTTP/1.1\r\nhost: x\r\n", HEAD])
async def test_a_head_that_does_not_arrive_in_time_is_408(
    settings: GatewaySettings, serve: Serve, sent: bytes
) -> None:
    async with serve(settings.model_copy(update={"header_timeout_s": _SOON_S})) as http:
        answer = await send_raw(http, sent)
        assert answer.statuses == [408]
        assert b'"REQUEST_TIMEOUT"' in answer.raw
        assert b"application/problem+json" in answer.raw
        assert await _refusals(http, "REQUEST_TIMEOUT") == 1


async def test_a_head_that_trickles_is_408_too(settings: GatewaySettings, serve: Serve) -> None:
    """The time counts from its first byte; more bytes do not renew it."""
    async with (
        serve(settings.model_copy(update={"header_timeout_s": _SOON_S})) as http,
        connected(http) as slow,
    ):
        answering = asyncio.create_task(slow.answer())
        for byte in b"GET /healthz HTTP/1.1\r\nhost: " + b"x" * 10_000:
            await slow.send(bytes([byte]))
            await asyncio.sleep(0.01)
            if answering.done():
                break
        assert (await answering).statuses == [408]


async def test_a_connection_without_a_request_is_closed_without_a_word(
    settings: GatewaySettings, serve: Serve
) -> None:
    async with serve(settings.model_copy(update={"header_timeout_s": _SOON_S})) as http:
        assert (await send_raw(http, b"")).raw == b""
        assert (await send_raw(http, b"\r\n")).statuses in ([], [408])


async def test_line_ends_between_requests_do_not_hold_a_connection(
    settings: GatewaySettings, serve: Serve
) -> None:
    """Any byte ends uvicorn's keep-alive timer, and the parser skips these."""
    async with (
        serve(settings.model_copy(update={"header_timeout_s": _SOON_S})) as http,
        connected(http) as idle,
    ):
        await idle.send(GET)
        assert await idle.reader.readuntil(b"}")
        await idle.send(b"\r\n\r\n")
        assert (await idle.answer()).statuses == [408]


async def test_a_body_that_does_not_arrive_in_time_is_408(
    settings: GatewaySettings, serve: Serve, inference: ScriptedInference
) -> None:
    async with serve(settings.model_copy(update={"body_timeout_s": _SOON_S})) as http:
        answer = await send_raw(http, HEAD + b"\r\n" + BODY[:5])
        assert answer.statuses == [408]
        chunked = (
            f"POST {URL} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            "transfer-encoding: chunked\r\n\r\n5\r\n{"
        )
        assert (await send_raw(http, chunked.encode())).statuses == [408]
    assert not inference.requests


async def test_a_body_that_trickles_is_408_too(settings: GatewaySettings, serve: Serve) -> None:
    async with (
        serve(settings.model_copy(update={"body_timeout_s": _SOON_S})) as http,
        connected(http) as slow,
    ):
        answering = asyncio.create_task(slow.answer())
        head = f"POST {URL} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        await slow.send(f"{head}content-length: 90000\r\n\r\n".encode())
        while not answering.done():
            await slow.send(b" ")
            await asyncio.sleep(0.01)
        assert (await answering).statuses == [408]


async def test_a_streamed_body_may_take_long_and_be_silent(
    settings: GatewaySettings, serve: Serve
) -> None:
    """Its route has limits of its own, which know who waits for whom."""
    async with serve(settings.model_copy(update={"body_timeout_s": _SOON_S})) as http:

        async def lines() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b'{"text": "Tim"}\n'
                await asyncio.sleep(2 * _SOON_S)

        answer = await http.post("/v1/entities:stream", content=lines())
    assert answer.status_code == 200
    assert answer.text.count('"Tim"') == 3


async def test_a_streamed_body_behind_another_request_is_streamed_all_the_same(
    settings: GatewaySettings, serve: Serve
) -> None:
    """The answer before it is none of its own."""
    async with (
        serve(settings.model_copy(update={"body_timeout_s": _SOON_S})) as http,
        connected(http) as caller,
    ):
        line = b'{"text": "Tim"}\n'
        chunk = f"{len(line):x}\r\n{line.decode()}\r\n".encode()
        await caller.send(GET + _STREAM_HEAD + b"connection: close\r\n\r\n")
        await caller.send(chunk)
        await asyncio.sleep(2 * _SOON_S)
        await caller.send(chunk + b"0\r\n\r\n")
        answer = await caller.answer()
    assert answer.statuses == [200, 200]
    assert answer.raw.count(b'"Tim"') == 2


async def test_a_streamed_body_that_is_refused_does_not_hold_the_connection(
    settings: GatewaySettings, serve: Serve
) -> None:
    async with serve(settings.model_copy(update={"body_timeout_s": _SOON_S})) as http:
        head = "POST /v1/entities:stream HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\n"
        answer = await send_raw(http, f"{head}content-length: 9000\r\n\r\nx".encode())
    assert answer.statuses == [415]


async def test_waiting_for_the_answer_is_no_slowness_of_the_caller(
    settings: GatewaySettings, serve: Serve, inference: ScriptedInference
) -> None:
    async def wait(request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        await asyncio.sleep(4 * _SOON_S)
        return await find_names(request, context)

    inference.script = wait
    short = {"header_timeout_s": _SOON_S, "body_timeout_s": _SOON_S, "send_timeout_s": _SOON_S}
    async with serve(settings.model_copy(update=short)) as http:
        assert (await http.post(URL, json=TEXT)).status_code == 200


async def test_an_answer_that_is_not_taken_does_not_hold_the_connection(
    settings: GatewaySettings, serve: Serve, inference: ScriptedInference
) -> None:
    """Its caller asks for megabytes, and reads nothing."""

    async def flood(request: pb.RecognizeRequest, _context: Any) -> pb.RecognizeResponse:
        entity = pb.Entity(text="x" * 1_000_000, label="PER", start=0, end=1, score=1)
        result = pb.TextResult(entities=pb.Entities(entities=[entity] * 20))
        return pb.RecognizeResponse(model="m", version="1", results=[result])

    inference.script = flood
    async with (
        serve(settings.model_copy(update={"send_timeout_s": _SOON_S})) as http,
        connected(http) as deaf,
    ):
        deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await deaf.send(HEAD + b"\r\n" + BODY)

        async def cut() -> bool:
            return await _refusals(http, "REQUEST_TIMEOUT") == 1

        await until(cut, limit_s=20)


async def test_a_large_answer_that_is_taken_slowly_but_steadily_is_whole(
    settings: GatewaySettings, serve: Serve, inference: ScriptedInference
) -> None:
    async def flood(request: pb.RecognizeRequest, _context: Any) -> pb.RecognizeResponse:
        entity = pb.Entity(text="x" * 1_000_000, label="PER", start=0, end=1, score=1)
        result = pb.TextResult(entities=pb.Entities(entities=[entity] * 20))
        return pb.RecognizeResponse(model="m", version="1", results=[result])

    inference.script = flood
    async with (
        serve(settings.model_copy(update={"send_timeout_s": _SOON_S})) as http,
        connected(http) as slow,
    ):
        await slow.send(HEAD + b"connection: close\r\n\r\n" + BODY)
        received = 0
        while chunk := await slow.reader.read(65_536):
            received += len(chunk)
            await asyncio.sleep(0.005)
    assert received > 20_000_000


@pytest.mark.parametrize(
    "head",
    [
        b"x-a: " + b"a" * 9000 + b"\r\n\r\n",
        b"".join(b"x-%d: a\r\n" % n for n in range(51)) + b"\r\n",
        b"x-a: " + b"a" * 20_000,
        b"x" * 20_000,
        b"".join(b"x-%d: %s\r\n" % (n, b"a" * 1000) for n in range(20)) + b"\r\n",
    ],
)
async def test_a_head_over_the_limit_is_431(http: httpx.AsyncClient, head: bytes) -> None:
    """Too many bytes or fields, whole or unfinished, at once or field by field."""
    answer = await send_raw(http, b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + head)
    assert answer.statuses == [431]
    assert b'"HEADERS_TOO_LARGE"' in answer.raw


async def test_a_target_over_the_limit_is_431(http: httpx.AsyncClient) -> None:
    for raw in (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", b"GET /" + b"a" * 9000):
        assert (await send_raw(http, raw)).statuses == [431]


async def test_an_unfinished_field_takes_a_bounded_memory(http: httpx.AsyncClient) -> None:
    """The parser keeps it until it ends; the connection does not wait for that."""
    async with connected(http) as greedy:
        await greedy.send(b"GET /healthz HTTP/1.1\r\nx-a: ")
        answering = asyncio.create_task(greedy.answer())
        for _ in range(1000):
            await greedy.send(b"a" * 1000)
            if answering.done():
                break
            await asyncio.sleep(0)
        assert answering.done()
        assert (await answering).statuses in ([431], [])  # the reset may overtake the answer


async def test_a_head_behind_a_body_that_nobody_read_is_counted_from_its_beginning(
    http: httpx.AsyncClient,
) -> None:
    """The body's request is answered before it has come whole: its end is in the head's chunk."""
    async with connected(http) as caller:
        await caller.send(b"POST /nope HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n")
        assert await caller.reader.readuntil(b"}")
        await caller.send(b"0123456789GET /healthz HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 8192)
        assert (await caller.answer()).statuses == [431]


async def test_a_head_at_the_limit_is_taken(http: httpx.AsyncClient) -> None:
    fields = {f"x-{n}": "a" for n in range(40)}
    assert (await http.get("/healthz", headers={**fields, "x-a": "a" * 7000})).status_code == 200


async def test_trailers_are_limited_and_never_become_headers(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    head = (
        f"POST {URL} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        "connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        f"{len(BODY):x}\r\n{BODY.decode()}\r\n0\r\n"
    )
    few = await send_raw(http, f"{head}x-request-timeout-ms: 0\r\n\r\n".encode())
    assert few.statuses == [200]
    many = "".join(f"x-{n}: a\r\n" for n in range(100))
    assert (await send_raw(http, f"{head}{many}\r\n".encode())).statuses != [200]
    assert len(inference.requests) <= 2


_STREAM_HEAD = CHUNKED_HEAD.replace(b"entities", b"entities:stream").replace(b"json", b"x-ndjson")


@pytest.mark.parametrize(
    ("head", "begun", "status"),
    [
        (CHUNKED_HEAD, b"0\r\nx: ", 431),
        (CHUNKED_HEAD, b"0\r\nx", 431),
        (CHUNKED_HEAD, b"3;x=", 431),
        (_STREAM_HEAD, b"0\r\nx: ", 431),
        (CHUNKED_HEAD.replace(URL.encode(), b"/nope"), b"0\r\nx: ", 404),
    ],
    ids=["value", "name", "extension", "stream", "answered"],
)
async def test_an_unfinished_field_behind_a_body_takes_a_bounded_memory(
    http: httpx.AsyncClient, head: bytes, begun: bytes, status: int
) -> None:
    """As one in a head; so does a chunk whose size has extensions without end."""
    async with connected(http) as greedy:
        await greedy.send(head + b"\r\n3\r\n   \r\n" + begun)
        answering = asyncio.create_task(greedy.answer())
        for _ in range(1000):
            await greedy.send(b"a" * 1000)
            if answering.done():
                break
            await asyncio.sleep(0)
        assert answering.done()
        assert (await answering).statuses in ([status], [])  # the reset may overtake the answer


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS on a plain port
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        b"\x00" * 100,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\nhost: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nbad field: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nx: a\x00b\r\n\r\n",
    ],
)
async def test_what_is_not_http_1_is_refused_and_closed(
    http: httpx.AsyncClient, raw: bytes
) -> None:
    answer = await send_raw(http, raw)
    assert answer.statuses == [400]
    assert b'"MALFORMED_HTTP"' in answer.raw
    assert (await http.get("/healthz")).status_code == 200


_SMUGGLED = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize(
    "fields",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        b"content-length: 5\r\ncontent-length: 6\r\n",
        b"content-length: 5, 5\r\n",
        b"content-length: +5\r\n",
        b"content-length: -1\r\n",
        b"content-length: 0x5\r\n",
        b"content-length: 99999999999999999999999999\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"transfer-encoding: xchunked\r\n",
        b"transfer-encoding : chunked\r\n",
        b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        b" folded: x\r\n",
    ],
)
@pytest.mark.parametrize("wish", [b"", b"connection: upgrade\r\nupgrade: h2c\r\n"])
async def test_a_body_whose_length_can_be_read_in_two_ways_is_refused(
    http: httpx.AsyncClient, inference: ScriptedInference, fields: bytes, wish: bytes
) -> None:
    """Else a proxy could end the request elsewhere, and what follows would be smuggled past it."""
    head = f"POST {URL} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n".encode()
    answer = await send_raw(http, head + wish + fields + b"\r\n0\r\n\r\n" + _SMUGGLED)
    assert answer.statuses == [400]
    assert b"gateway_http_requests" not in answer.raw
    assert not inference.requests


async def test_chunks_of_a_bad_size_end_the_connection(http: httpx.AsyncClient) -> None:
    head = f"POST {URL} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    for chunk in (b"zz\r\n", b"-1\r\n", b"fffffffffffffffffff\r\n", b"2\r\nabc\r\n0\r\n\r\n"):
        answer = await send_raw(http, head + chunk + _SMUGGLED)
        assert b"gateway_http_requests" not in answer.raw


async def test_more_connections_than_may_be_are_refused(
    settings: GatewaySettings, serve: Serve
) -> None:
    """Those that stand are served on, and their places are free again when they end."""
    async with serve(settings.model_copy(update={"max_connections": 3})) as http:
        assert (await http.get("/healthz")).status_code == 200  # keeps its connection
        async with connected(http), connected(http):
            refused = await send_raw(http, GET)
            assert refused.statuses == [503]
            assert b'"TOO_MANY_CONNECTIONS"' in refused.raw
            assert b"retry-after: 1" in refused.raw
            assert (await http.get("/healthz")).status_code == 200

        async def free() -> bool:
            close = GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
            return (await send_raw(http, close)).statuses == [200]

        await until(free)


async def test_an_idle_connection_is_closed_after_its_time(
    settings: GatewaySettings, serve: Serve
) -> None:
    async with serve(settings.model_copy(update={"keep_alive_s": 1})) as http:
        assert (await send_raw(http, GET)).statuses == [200]


async def test_requests_behind_each_other_are_answered_in_order(
    settings: GatewaySettings, serve: Serve, inference: ScriptedInference
) -> None:
    """Though none waited for the answer before it (pipelining)."""
    async with serve(settings.model_copy(update={"keep_alive_s": 1})) as http:
        request = HEAD + b"\r\n" + BODY
        answer = await send_raw(http, request + GET + request + b"garbage\r\n\r\n")
    assert answer.statuses[:1] == [200] or answer.statuses == []
    assert len(inference.requests) <= 2


async def test_three_requests_at_once_get_three_answers(
    settings: GatewaySettings, serve: Serve
) -> None:
    async with serve(settings.model_copy(update={"keep_alive_s": 1})) as http:
        request = HEAD + b"\r\n" + BODY
        assert (await send_raw(http, request + GET + request)).statuses == [200, 200, 200]


@pytest.mark.parametrize("first", [8, 1000])
async def test_few_requests_may_wait_and_the_connection_ends_with_their_answers(
    settings: GatewaySettings, serve: Serve, inference: ScriptedInference, first: int
) -> None:
    """Each takes memory before anybody has asked whose it is; more are not even read."""
    go_on = asyncio.Event()

    async def wait(request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        await go_on.wait()
        return await find_names(request, context)

    inference.script = wait
    async with serve(settings) as http, connected(http) as connection:
        await connection.send(HEAD + b"\r\n" + BODY + first * GET)
        await inference.arrived.wait()
        await asyncio.sleep(_SOON_S)  # who waits is watched, which reads on
        await connection.send(1000 * GET)
        await asyncio.sleep(_SOON_S)
        go_on.set()
        answer = await connection.answer()
    assert answer.statuses == [200] * 9
    assert answer.raw.count(b"connection: close") == 1


# What Java's client sends with each request on a new connection.
_WISH = (
    b"Connection: Upgrade, HTTP2-Settings\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\nUpgrade: h2c\r\n"
)


@pytest.mark.parametrize("part_bytes", [1, 7, 1000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_wish_for_another_protocol_is_ignored(
    settings: GatewaySettings, serve: Serve, chunked: bool, part_bytes: int
) -> None:
    """Wherever its bytes are parted, and with a request behind it."""
    request = HEAD + _WISH + b"\r\n" + BODY
    if chunked:
        request = CHUNKED_HEAD + _WISH + b"\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    sent = (
        request + GET.removesuffix(b"\r\n") + b"upgrade: h2c\r\nconnection: upgrade\r\n\r\n" + GET
    )
    async with (
        serve(settings.model_copy(update={"keep_alive_s": 1})) as http,
        connected(http) as connection,
    ):
        for start in range(0, len(sent), part_bytes):
            await connection.send(sent[start : start + part_bytes])
            await asyncio.sleep(0)
        answer = await connection.answer()
    assert answer.statuses == [200, 200, 200]
    assert b'"Tim"' in answer.raw


@pytest.mark.parametrize(
    "head",
    [
        HEAD + _WISH.replace(b"Upgrade,", b"close, Upgrade,"),
        CHUNKED_HEAD + b"connection: close\r\n" + _WISH,
        HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + _WISH,
    ],
    ids=["one field", "two", "HTTP/1.0"],
)
async def test_a_wish_on_a_connection_that_is_to_be_closed_is_ignored(
    http: httpx.AsyncClient, head: bytes
) -> None:
    body = BODY
    if b"chunked" in head:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    answer = await send_raw(http, head + b"\r\n" + body)
    assert answer.statuses == [200]
    assert b'"Tim"' in answer.raw


@pytest.mark.parametrize("parts", [1, 2])
async def test_a_body_behind_an_upgrade_is_not_taken_for_a_request(
    settings: GatewaySettings, serve: Serve, inference: ScriptedInference, parts: int
) -> None:
    """The parser leaves such a body to the other protocol, which nobody here speaks."""
    head = HEAD.replace(str(len(BODY)).encode(), str(len(_SMUGGLED)).encode()) + _WISH + b"\r\n"
    async with (
        serve(settings.model_copy(update={"keep_alive_s": 1})) as http,
        connected(http) as connection,
    ):
        if parts == 1:
            await connection.send(head + _SMUGGLED)
        else:
            await connection.send(head)
            await asyncio.sleep(0.05)
            await connection.send(_SMUGGLED)
        answer = await connection.answer()
    assert answer.statuses == [400]
    assert b'"MALFORMED_JSON"' in answer.raw
    assert inference.requests == []


async def test_a_connect_with_a_body_is_refused(http: httpx.AsyncClient) -> None:
    """The parser leaves it to the tunnel."""
    connect = b"CONNECT /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(_SMUGGLED)
    answer = await send_raw(http, connect + _SMUGGLED)
    assert answer.statuses == [400]
    assert b'"MALFORMED_HTTP"' in answer.raw


async def test_a_kept_connection_is_not_cut_while_the_next_request_is_answered(
    settings: GatewaySettings, serve: Serve
) -> None:
    """Both came in one read, so that nothing was received in between."""
    async with serve(settings.model_copy(update={"keep_alive_s": 1})) as http:
        request = GET + HEAD + b"\r\n" + BODY
        assert (await send_raw(http, request)).statuses == [200, 200]


def test_every_reason_of_a_connection_has_its_words() -> None:
    from gateway.connection import refusal

    reasons = {
        Reason.MALFORMED_HTTP,
        Reason.HEADERS_TOO_LARGE,
        Reason.REQUEST_TIMEOUT,
        Reason.TOO_MANY_CONNECTIONS,
    }
    for reason in reasons:
        head, _, body = refusal(reason, "my-id").partition(b"\r\n\r\n")
        assert json.loads(body)["reason"] == reason
        assert f"content-length: {len(body)}".encode() in head
