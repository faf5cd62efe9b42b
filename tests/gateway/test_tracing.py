"""A gateway that makes spans is no other gateway to its callers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider

from gateway.settings import GatewaySettings
from protos.ner.v1 import entity_recognizer_pb2 as pb
from telemetry.tracing import Tracer
from tests.gateway.conftest import Serve
from tests.gateway.raw_http import TEXT, URL
from tests.gateway.scripted_inference import ScriptedInference

_PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_LIMIT_S = 10


@pytest.fixture
async def traced(serve: Serve, settings: GatewaySettings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway that makes spans, and sends them nowhere."""
    tracer = Tracer(TracerProvider(shutdown_on_exit=False))
    async with serve(settings, tracer=tracer) as http:
        yield http
    tracer.close()


async def test_a_caller_that_goes_away_cancels_its_call(
    traced: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    async def wait(_request: pb.RecognizeRequest, _context: Any) -> pb.RecognizeResponse:
        await asyncio.Event().wait()
        raise AssertionError

    inference.script = wait
    asking = asyncio.create_task(traced.post(URL, json={"texts": ["Tim", "Ann"]}))
    async with asyncio.timeout(_LIMIT_S):
        await inference.arrived.wait()
        asking.cancel()
        await inference.cancelled.wait()


async def test_a_state_that_cannot_be_carried_holds_nothing_up(traced: httpx.AsyncClient) -> None:
    headers = [(b"traceparent", _PARENT), (b"tracestate", b"a=\xe9")]
    answer = await traced.post(URL, json=TEXT, headers=headers, timeout=_LIMIT_S)
    assert answer.status_code == 200
