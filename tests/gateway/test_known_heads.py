"""Heads that are known: what is kept of them, and that knowing them changes no answer."""

import asyncio
import re
from collections.abc import Iterable
from itertools import chain
from typing import Any

import pytest
import uvicorn
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from gateway.__main__ import connection_limits
from gateway.known_heads import KnownHeads
from gateway.metrics import GatewayMetrics
from gateway.settings import GatewaySettings
from gateway.shedding_connection import Shedding, SheddingConnection
from tests.gateway.raw_http import BODY, CHUNKED_HEAD, GET, HEAD, URL

_REQUEST = HEAD + b"\r\n" + BODY
_NAMES = (b"host", b"content-type", b"content-length")


def _known(request: bytes, names: Iterable[bytes], body: bytes) -> KnownHeads:
    heads = KnownHeads()
    heads.learn(request, names, len(body))
    return heads


def test_the_body_behind_a_known_head_is_found_whatever_it_is() -> None:
    heads = _known(_REQUEST, _NAMES, BODY)
    other = BODY.replace(b"Tim", b"Ann")
    assert heads.body_of(_REQUEST) == BODY
    assert heads.body_of(HEAD + b"\r\n" + other) == other


@pytest.mark.parametrize(
    "chunk",
    [
        b"",
        b"\r\n\r\n",
        HEAD,
        _REQUEST[:-1],
        _REQUEST + b"\r\n",
        _REQUEST + _REQUEST,
        b"\r\n" + _REQUEST,
        HEAD.lower() + b"\r\n" + BODY,
    ],
)
def test_anything_else_is_not_known(chunk: bytes) -> None:
    assert _known(_REQUEST, _NAMES, BODY).body_of(chunk) is None


@pytest.mark.parametrize(
    "name",
    [
        b"x-request-id",
        b"traceparent",
        b"authorization",
        b"proxy-authorization",
        b"x-api-key",
        b"cookie",
    ],
)
def test_a_head_with_a_secret_or_an_id_is_not_kept(name: bytes) -> None:
    request = HEAD + name + b": any\r\n\r\n" + BODY
    assert _known(request, (*_NAMES, name), BODY).body_of(request) is None


@pytest.mark.parametrize("before", [b"\r\n\r\n", GET, _REQUEST])
def test_of_a_chunk_with_more_than_one_request_nothing_is_kept(before: bytes) -> None:
    heads = _known(before + _REQUEST, _NAMES, BODY)
    assert heads.body_of(before + _REQUEST) is None
    assert heads.body_of(_REQUEST) is None


def test_what_is_kept_is_bounded() -> None:
    heads = KnownHeads()
    long_one = HEAD + b"x: " + b"a" * 1024 + b"\r\n\r\n" + BODY
    heads.learn(long_one, _NAMES, len(BODY))
    assert heads.body_of(long_one) is None
    many = [HEAD + b"x: %d\r\n\r\n" % number + BODY for number in range(5_000)]
    for request in many:
        heads.learn(request, _NAMES, len(BODY))
    assert 0 < sum(heads.body_of(request) is not None for request in many) <= 1024


class _Forgetful(KnownHeads):
    """Knows no head, so that each is parsed."""

    def learn(self, request: bytes, names: Iterable[bytes], body_bytes: int) -> None:
        """Learn nothing."""


class _RefusesTim:
    overloaded = True

    def refuses(self, body: bytes) -> bool:
        return b"Tim" in body


class _Written(asyncio.Transport):
    """What a connection has written, and whether it has closed."""

    def __init__(self) -> None:
        super().__init__()
        self.raw = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.raw += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what was asked; on another path, before its body has come."""
    message: Message = await receive() if scope["path"] == URL else {}
    asked = f"{scope['method']} {scope['path']} {message.get('body')} {scope['headers']}".encode()
    length = [(b"content-length", b"%d" % len(asked))]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": asked})


async def _answers(chunks: list[bytes], heads: KnownHeads) -> tuple[bytes, bool, float]:
    """What a connection writes, whether it closes, and how many refusals it counts."""
    config = uvicorn.Config(_echo, ws="none", lifespan="off", log_config=None, access_log=False)
    config.load()
    metrics = GatewayMetrics()
    connection = SheddingConnection(
        shedding=Shedding(_RefusesTim(), metrics, heads),
        limits=connection_limits(GatewaySettings()),
        refused=lambda _: None,
        config=config,
        server_state=ServerState(),
        app_state={},
    )
    written = _Written()
    connection.connection_made(written)
    for chunk in chunks:
        connection.data_received(chunk)
        for _ in range(4):  # turns in which the app answers
            await asyncio.sleep(0)
    connection.connection_lost(None)
    refusals = metrics.registry.get_sample_value(
        "gateway_requests_failed_total", {"reason": "QUEUE_FULL"}
    )
    return re.sub(rb"[0-9a-f]{32}", b"<id>", written.raw), written.closed, refusals or 0


_BODIES = st.sampled_from([BODY, b'{"text": "Ann"}', b'{"text": "Tim\r\n\r\n"}', b""])
_LINES = st.sampled_from(
    [b"", b"", b"x: y\r\n", b"x-request-id: mine\r\n", b"origin: https://a\r\n",
     b"connection: close\r\n", b"expect: 100-continue\r\n"]
)  # fmt: skip


@st.composite
def _requests(draw: st.DrawFn) -> bytes:
    body = draw(_BODIES)
    # Mostly its own length; else the parser waits for more, or takes what is over for a request.
    length = draw(st.sampled_from([len(body)] * 6 + [len(body) + 3, max(0, len(body) - 3)]))
    head = HEAD.replace(b"%d" % len(BODY), b"%d" % length)
    return head + draw(_LINES) + b"\r\n" + body


_CHUNKS = st.one_of(
    _requests(),
    _requests(),
    _requests(),
    st.sampled_from([GET, b"\r\n", b"\r\n\r\n", HEAD, BODY, b"\r\n" + BODY, b"nonsense\r\n\r\n"]),
    st.just(CHUNKED_HEAD + b"\r\n3\r\nTim\r\n0\r\n\r\n"),
    st.tuples(_requests(), _requests()).map(b"".join),
)


_EARLY = b"POST /nope HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(BODY)


@st.composite
def _behind_an_early_answer(draw: st.DrawFn) -> list[list[bytes]]:
    """A body that is answered before it comes, then a request in two parts; the second again."""
    request = draw(_requests())
    cut = draw(st.integers(1, len(request) - 1))
    return [[_EARLY, BODY + request[:cut], request[cut:]], [request[cut:]]]


@st.composite
def _chunks(draw: st.DrawFn) -> list[bytes]:
    """Few different ones, each several times: a head must come again to be known."""
    some = [[_REQUEST], *([chunk] for chunk in draw(st.lists(_CHUNKS, min_size=1, max_size=2)))]
    some += draw(st.one_of(st.just([]), _behind_an_early_answer()))
    return [*chain.from_iterable(draw(st.lists(st.sampled_from(some), min_size=2, max_size=8)))]


_BEGUN = BODY + f"POST {URL} HTTP/1.1\r\nx: ".encode()
_TAIL = b'GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n"Tim"'


@settings(max_examples=300)
@given(_chunks())
@example([_REQUEST, HEAD, _REQUEST])
@example([_EARLY, _BEGUN, _TAIL, _TAIL])
async def test_knowing_heads_changes_no_answer(chunks: list[bytes]) -> None:
    """Whatever comes, and however it is cut."""
    assert await _answers(chunks, KnownHeads()) == await _answers(chunks, _Forgetful())
