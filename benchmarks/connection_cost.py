"""`python -m benchmarks.connection_cost`: what a connection's own code costs each request.

Without sockets: a connection is fed the bytes of requests, and an app answers at once. Printed is
the least time of a request by uvicorn's own connection and by the gateway's, taken in turns; and
that of a refusal under overload, by a connection that parses the head and by one that knows it.
"""

import asyncio
import time
from typing import Any, Final

import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.__main__ import connection_limits
from gateway.connection import GuardedConnection
from gateway.metrics import GatewayMetrics
from gateway.settings import GatewaySettings
from gateway.shedding_connection import Shedding, SheddingConnection

_BODY: Final = b'{"text": "Angela Merkel visited Seoul because the train from Paris was late."}'
_HEAD: Final = (
    b"POST /v1/entities HTTP/1.1\r\nhost: localhost:8080\r\naccept: */*\r\n"
    b"user-agent: python-httpx/0.28.1\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n" % len(_BODY)
)
_REQUEST: Final = _HEAD + b"\r\n" + _BODY
_NOT_LEARNED: Final = _HEAD + b"x-request-id: mine\r\n\r\n" + _BODY
_REQUESTS: Final = 500
_RUNS: Final = 60


class _Nowhere(asyncio.Transport):
    """Takes everything, and sends nothing."""

    def write(self, data: Any) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def _answer(_scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    )
    await send({"type": "http.response.body", "body": b"{}"})


class _AlwaysOver:
    """Refuses everything."""

    overloaded = True

    def refuses(self, body: bytes) -> bool:
        return bool(body)


async def _request_us(connection: HttpToolsProtocol, request: bytes = _REQUEST) -> float:
    connection.connection_made(_Nowhere())
    began_s = time.perf_counter()
    for answered in range(_REQUESTS):
        connection.data_received(request)
        await asyncio.sleep(0)
        while connection.server_state.total_requests == answered:  # noqa: ASYNC110 - an event would cost more
            await asyncio.sleep(0)
    took_s = time.perf_counter() - began_s
    connection.connection_lost(None)
    return took_s / _REQUESTS * 1e6


async def _once() -> dict[str, float]:
    config = uvicorn.Config(_answer, ws="none", lifespan="off", log_config=None, access_log=False)
    limits = connection_limits(GatewaySettings())
    metrics = GatewayMetrics()

    def common() -> dict[str, Any]:
        return {"config": config, "server_state": ServerState(), "app_state": {}}

    def guarded() -> dict[str, Any]:
        return {**common(), "limits": limits, "refused": lambda _: None}

    def shedding() -> SheddingConnection:
        return SheddingConnection(shedding=Shedding(_AlwaysOver(), metrics), **guarded())

    return {
        "answered, uvicorn's": await _request_us(HttpToolsProtocol(**common())),
        "answered, the gateway's": await _request_us(GuardedConnection(**guarded())),
        "refused, parsed": await _request_us(shedding(), _NOT_LEARNED),
        "refused, head known": await _request_us(shedding()),
    }


async def _least() -> dict[str, float]:
    runs = [await _once() for _ in range(_RUNS)]
    return {name: min(run[name] for run in runs) for name in runs[0]}


def main() -> None:
    """Prints the least time of a request, in microseconds."""
    for name, least_us in uvloop.run(_least()).items():
        print(f"{name:24} {least_us:6.2f} us a request")


if __name__ == "__main__":
    main()
