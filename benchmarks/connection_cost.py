"""`python -m benchmarks.connection_cost`: what the limits of a connection cost each request.

Without sockets: a connection is fed the bytes of requests, and an app answers at once. Printed is
the least time of a request by uvicorn's own connection and by the gateway's, taken in turns.
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
from gateway.settings import GatewaySettings

_BODY: Final = b'{"text": "Angela Merkel visited Seoul because the train from Paris was late."}'
_REQUEST: Final = (
    b"POST /v1/entities HTTP/1.1\r\nhost: localhost:8080\r\naccept: */*\r\n"
    b"user-agent: python-httpx/0.28.1\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n" % len(_BODY) + _BODY
)
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


async def _run(connection: HttpToolsProtocol) -> float:
    connection.connection_made(_Nowhere())
    began_s = time.perf_counter()
    for _ in range(_REQUESTS):
        connection.data_received(_REQUEST)
        while not connection.cycle.response_complete:  # noqa: ASYNC110 - an event would cost more
            await asyncio.sleep(0)
    took_s = time.perf_counter() - began_s
    connection.connection_lost(None)
    return took_s / _REQUESTS * 1e6


async def _compare() -> dict[str, float]:
    config = uvicorn.Config(_answer, ws="none", lifespan="off", log_config=None, access_log=False)
    limits = connection_limits(GatewaySettings())
    least_us = {"uvicorn's": float("inf"), "the gateway's": float("inf")}
    for _ in range(_RUNS):
        common: dict[str, Any] = {
            "config": config, "server_state": ServerState(), "app_state": {},
        }  # fmt: skip
        made = {
            "uvicorn's": HttpToolsProtocol(**common),
            "the gateway's": GuardedConnection(limits=limits, refused=lambda _: None, **common),
        }
        for name, connection in made.items():
            least_us[name] = min(least_us[name], await _run(connection))
    return least_us


def main() -> None:
    """Prints the least time of a request, in microseconds."""
    for name, least_us in uvloop.run(_compare()).items():
        print(f"{name:14} {least_us:.2f} us a request")


if __name__ == "__main__":
    main()
