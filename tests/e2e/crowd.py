"""Many callers at once, each with a connection of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from tests.plain_http import NO_TLS

# A pool looks at all of its connections whenever one changes: with a thousand in one, httpx works
# for longer than the services do.
_POOL = 50


class Crowd:
    """Callers in pools of connections.

    Args:
        pools: clients of the same server.
    """

    def __init__(self, pools: list[httpx.AsyncClient]) -> None:
        self._pools = pools

    async def post(self, number: int, path: str, body: object) -> httpx.Response:
        """Asks.

        Args:
            number: of the caller.
            path: of the URL.
            body: becomes JSON.
        """
        return await self._pools[number % len(self._pools)].post(path, json=body)

    async def get(self, path: str) -> httpx.Response:
        """Asks as any of the callers."""
        return await self._pools[0].get(path)


@asynccontextmanager
async def crowd(url: str, callers: int, timeout_s: float) -> AsyncIterator[Crowd]:
    """Connections for so many callers at a time.

    Args:
        url: of the server.
        callers: how many ask at once.
        timeout_s: of each answer.
    """
    limits = httpx.Limits(max_connections=_POOL)
    async with AsyncExitStack() as open_:
        yield Crowd(
            [
                await open_.enter_async_context(
                    httpx.AsyncClient(
                        base_url=url,
                        timeout=timeout_s,
                        limits=limits,
                        trust_env=False,
                        verify=NO_TLS,
                    )
                )
                for _ in range(0, callers, _POOL)
            ]
        )
