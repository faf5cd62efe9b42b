"""Waiting for something that nobody announces."""

import asyncio
from collections.abc import Awaitable, Callable

_INTERVAL_S = 0.02


async def until(condition: Callable[[], Awaitable[bool]], limit_s: float = 5) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it does not hold within `limit_s` seconds.
    """
    async with asyncio.timeout(limit_s):
        while not await condition():  # noqa: ASYNC110 - the condition lies behind a socket
            await asyncio.sleep(_INTERVAL_S)
