"""Clients that abandon, trickle, flood and send garbage, beside callers who behave."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import pytest
import pytest_asyncio

from tests.chaos.callers import Count, calling
from tests.chaos.fleet import Fleet, Member
from tests.chaos.rude import http1_garbage, http2_garbage, idle_connections, send_garbage
from tests.e2e.crowd import crowd
from tests.e2e.stack import WAIT_S

pytestmark = [pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]

_ROUNDS_SHORT, _ROUNDS_LONG = 2, 20
_HEAD = (
    b"POST /v1/entities HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"content-length: 100\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class _Pair:
    """One of each service, and callers who behave."""

    count: Count
    rest_port: int
    grpc_port: int

    @property
    def lost(self) -> tuple[dict[str, int], int, int]:
        """What went wrong for those who behave, by kind."""
        return dict(self.count.failed), self.count.cut, self.count.lost


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(fleet: Fleet) -> tuple[Member, Member]:
    """One of each service; whatever is sent to them, they go on."""
    gateway, replica = fleet.gateways[0], fleet.replicas[0]
    await asyncio.gather(gateway.start(), replica.start())
    return gateway, replica


@pytest_asyncio.fixture(loop_scope="module")
async def pair(services: tuple[Member, Member]) -> AsyncIterator[_Pair]:
    """Callers ask; nobody of them may lose anything."""
    gateway, replica = services
    async with calling([gateway.ports.url]) as count:
        yield _Pair(count, gateway.ports.gateway, replica.ports.inference)


async def test_garbage_on_both_ports_costs_nobody_else_anything(pair: _Pair, is_long: bool) -> None:
    chance = random.Random(7)  # noqa: S311 - no secret
    sent = 0
    for _ in range(_ROUNDS_LONG if is_long else _ROUNDS_SHORT):
        sent += await send_garbage(pair.rest_port, http1_garbage(chance))
        sent += await send_garbage(pair.grpc_port, http2_garbage(chance))
    await pair.count.more()
    assert sent >= 50
    assert pair.lost == ({}, 0, 0)


async def test_a_malformed_message_is_refused_and_costs_nobody_else_anything(pair: _Pair) -> None:
    """Over gRPC as such: the frames are right, the protobuf in them is not."""
    chance = random.Random(8)  # noqa: S311 - no secret
    codes: Counter[grpc.StatusCode] = Counter()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{pair.grpc_port}") as channel:
        for method in ("Recognize", "Classify", "ListModels", "NoSuchMethod"):
            call = channel.unary_unary(f"/ner.v1.EntityRecognizer/{method}", bytes, bytes)
            for size in (1, 10, 1_000, 100_000):
                try:
                    await call(b"\x0a\xff\xff\xff\xff\x0f" + chance.randbytes(size), timeout=30)
                except grpc.aio.AioRpcError as error:
                    codes[error.code()] += 1
    await pair.count.more()
    assert set(codes) == {grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED}
    assert sum(codes.values()) == 16
    assert pair.lost == ({}, 0, 0)


async def test_many_connections_that_say_nothing_or_half_cost_nobody_else_anything(
    pair: _Pair, connections: int
) -> None:
    """Half of them stop in the middle of a request."""
    half = connections // 2
    async with (
        idle_connections(pair.rest_port, half, b"") as silent,
        idle_connections(pair.rest_port, half, _HEAD + b'{"text": "a') as trickling,
    ):
        assert silent + trickling == 2 * half
        await pair.count.more(100)
        assert pair.lost == ({}, 0, 0)


async def test_callers_that_flood_and_leave_cost_nobody_else_anything(
    pair: _Pair, is_long: bool
) -> None:
    """They send and go without waiting; those who stay are answered."""
    body = b'{"text": "' + b"a " * 45 + b'"}'
    request = _HEAD.replace(b"100", str(len(body)).encode()) + body
    for _ in range(10 * (_ROUNDS_LONG if is_long else _ROUNDS_SHORT)):
        async with idle_connections(pair.rest_port, 100, request):
            pass
    await pair.count.more(100)
    assert pair.lost == ({}, 0, 0)


async def test_more_than_can_be_answered_is_put_off_and_then_all_is_as_before(
    services: tuple[Member, Member],
) -> None:
    """Every answer is 200, or 429 that says when to come back; afterwards it is 200 alone."""
    gateway, _ = services
    text = "angela merkel visited seoul . " * 300
    async with crowd(gateway.ports.url, 300, WAIT_S) as callers:
        burst = [callers.post(n, "/v1/entities", {"text": text}) for n in range(300)]
        answers = await asyncio.gather(*burst)
        after = await callers.post(0, "/v1/entities", {"text": "seoul"})
    assert {answer.status_code for answer in answers} <= {200, 429}
    for answer in answers:
        if answer.status_code == 429:
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["reason"] == "QUEUE_FULL"
        else:
            assert len(answer.json()["entities"]) == 600
    assert after.status_code == 200
