"""The gateway on a real port, in front of a scripted inference service on another."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest
import uvicorn

from gateway.__main__ import configure
from gateway.settings import GatewaySettings
from telemetry.tracing import Tracer
from tests.clock import Clock
from tests.gateway.scripted_inference import ScriptedInference
from tests.plain_http import NO_TLS


class _Server(uvicorn.Server):
    """uvicorn that leaves the signals to pytest."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _serve(
    settings: GatewaySettings, tls: ssl.SSLContext | None = None, tracer: Tracer | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    # asyncio, unlike uvloop, leaves it off for listeners from outside: 40 ms a request.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = configure(settings, tracer)
    config.timeout_graceful_shutdown = 1
    server = _Server(config)
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(30):
        serving = tasks.create_task(server.serve(sockets=[listener]))
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event
            await asyncio.sleep(0.01)
        scheme = "http" if tls is None else "https"
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=url, trust_env=False, timeout=30, limits=limits, verify=tls or NO_TLS
        ) as client:
            yield client
        server.should_exit = True


Serve = Callable[..., contextlib.AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
async def inference() -> AsyncIterator[ScriptedInference]:
    """A scripted inference service that runs."""
    inference = ScriptedInference()
    await inference.start()
    yield inference
    await inference.stop()


@pytest.fixture
def settings(inference: ScriptedInference) -> GatewaySettings:
    """Settings that lead to the scripted inference service."""
    return GatewaySettings(
        inference_target=f"dns:///127.0.0.1:{inference.port}",
        max_body_bytes=100_000,
        request_timeout_ms=10_000,
        admin_calls=True,
    )


@pytest.fixture
def serve() -> Serve:
    """Makes a context in which a gateway with other settings runs; gives a client of it."""
    return _serve


@pytest.fixture
async def http(settings: GatewaySettings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway that runs."""
    async with _serve(settings) as client:
        yield client


@pytest.fixture
def clock() -> Clock:
    """The clock of what a test makes."""
    return Clock()
