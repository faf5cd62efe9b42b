"""Calls that are repeated on another replica, and calls that must not be."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import grpc
import httpx
import pytest

from gateway.settings import GatewaySettings
from protos.ner.v1 import entity_recognizer_pb2 as pb
from tests.gateway.conftest import Serve
from tests.gateway.polling import until
from tests.gateway.scripted_inference import (
    NOT_SERVING,
    SERVING,
    Script,
    ScriptedInference,
    find_names,
    refuse,
)

_DRAINING = refuse(grpc.StatusCode.UNAVAILABLE, "DRAINING")


class _Pair:
    """Two replicas, and a gateway's client in front of them."""

    def __init__(
        self, one: ScriptedInference, other: ScriptedInference, http: httpx.AsyncClient
    ) -> None:
        self.one, self.other, self.http = one, other, http

    @property
    def calls(self) -> int:
        """How many calls came to either."""
        return len(self.one.requests) + len(self.other.requests)

    async def ask(self, timeout_ms: int = 10_000) -> int:
        """Asks for one text; gives the status."""
        headers = {"x-request-timeout-ms": str(timeout_ms)}
        body = {"text": "Angela"}
        return (await self.http.post("/v1/entities", json=body, headers=headers)).status_code

    async def spread(self) -> bool:
        """Whether both are asked now."""
        self.one.requests.clear()
        self.other.requests.clear()
        statuses = [await self.ask() for _ in range(4)]
        return statuses == [200] * 4 and bool(self.one.requests) and bool(self.other.requests)


@pytest.fixture
async def pair(inference: ScriptedInference, serve: Serve) -> AsyncIterator[_Pair]:
    """A gateway that knows two replicas and uses both."""
    other = ScriptedInference()
    await other.start()
    target = f"ipv4:127.0.0.1:{inference.port},127.0.0.1:{other.port}"
    async with serve(GatewaySettings(inference_target=target)) as http:
        pair = _Pair(inference, other, http)
        await until(pair.spread)
        inference.requests.clear()
        other.requests.clear()
        yield pair
    await other.stop()


async def _hang(_request: pb.RecognizeRequest, _context: Any) -> pb.RecognizeResponse:
    await asyncio.sleep(60)
    raise AssertionError


async def test_a_call_that_one_replica_refuses_while_it_drains_is_answered_by_another(
    pair: _Pair,
) -> None:
    pair.one.script = _DRAINING
    assert [await pair.ask() for _ in range(6)] == [200] * 6
    assert pair.one.requests, "it was asked, and refused"


async def test_calls_whose_replica_dies_under_them_are_answered_by_another(pair: _Pair) -> None:
    """Requests are under way at both when one goes; every one is answered."""
    pair.one.script = _hang
    pair.one.arrived.clear()
    calls = [asyncio.create_task(pair.ask()) for _ in range(40)]
    await asyncio.wait_for(pair.one.arrived.wait(), 10)
    await pair.one.stop()
    assert await asyncio.gather(*calls) == [200] * 40


@pytest.mark.parametrize(
    ("script", "status"),
    [
        (refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", retry_s=3), 429),
        (refuse(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"), 504),
        (refuse(grpc.StatusCode.INVALID_ARGUMENT, "LABEL_UNKNOWN"), 422),
    ],
)
async def test_an_answer_that_another_replica_would_give_too_is_not_asked_for_again(
    pair: _Pair, script: Script, status: int
) -> None:
    """Overload above all: a repeated call would add to it."""
    pair.one.script = pair.other.script = script
    assert await pair.ask() == status
    assert pair.calls == 1


async def test_repeating_ends_when_nobody_answers(pair: _Pair) -> None:
    """One request is a handful of attempts, and many requests soon are one attempt each."""
    pair.one.script = pair.other.script = _DRAINING
    assert await pair.ask() == 503
    assert 1 < pair.calls <= 4
    for _ in range(25):
        await asyncio.gather(*(pair.ask() for _ in range(40)))
        pair.one.requests.clear()
        pair.other.requests.clear()
        assert await pair.ask() == 503
        if pair.calls == 1:
            break
    assert pair.calls == 1, "the budget is spent"
    pair.one.script = pair.other.script = find_names
    assert await pair.ask() == 200, "answers come as before"


async def test_a_repeated_call_keeps_its_deadline(pair: _Pair) -> None:
    """The second replica is told the time that is left, not the whole again."""

    async def wait_and_refuse(request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        await asyncio.sleep(0.3)
        return await _DRAINING(request, context)

    pair.one.script = wait_and_refuse
    pair.other.script = wait_and_refuse
    for replica in (pair.one, pair.other):
        replica.deadlines_s.clear()
    assert await pair.ask(timeout_ms=10_000) == 503
    left_s = sorted(pair.one.deadlines_s + pair.other.deadlines_s)
    assert len(left_s) > 1
    assert all(later - earlier >= 0.3 for earlier, later in pairwise(left_s))


async def test_a_replica_that_says_it_does_not_serve_gets_no_calls_until_it_does(
    pair: _Pair,
) -> None:
    await pair.one.set_health(NOT_SERVING)

    async def only_the_other() -> bool:
        pair.one.requests.clear()
        statuses = [await pair.ask() for _ in range(4)]
        return statuses == [200] * 4 and not pair.one.requests

    await until(only_the_other)
    await pair.one.set_health(SERVING)
    await until(pair.spread)


async def test_a_replica_that_comes_later_gets_its_share(pair: _Pair) -> None:
    """Start-up works in any order."""
    await pair.one.stop()
    assert [await pair.ask() for _ in range(4)] == [200] * 4
    await pair.one.start()
    await until(pair.spread)


async def test_a_large_call_is_repeated_too(pair: _Pair) -> None:
    """Of a call gRPC keeps 256 KiB for its repetition, unless it is told to keep more."""
    pair.one.script = pair.other.script = _DRAINING
    text = "a " * 200_000
    response = await pair.http.post("/v1/entities", json={"text": text})
    assert response.status_code == 503
    assert pair.calls > 1
