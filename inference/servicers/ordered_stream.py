"""A stream whose requests are worked on together and answered in their order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")


async def answer_in_order(
    requests: AsyncIterator[_Request],
    answer: Callable[[_Request], Coroutine[Any, Any, _Answer]],
    write: Callable[[_Answer], Awaitable[None]],
    limit: int,
) -> None:
    """Answers every request of a stream.

    Cancelling it cancels the requests that are under way.

    Args:
        requests: read only as far as there is room.
        answer: works on one; what it raises ends the stream.
        write: takes one answer; a slow reader keeps it waiting.
        limit: requests that were read and whose answers are not yet taken, at most.
    """
    room = asyncio.Semaphore(limit)
    begun: asyncio.Queue[asyncio.Task[_Answer] | None] = asyncio.Queue()

    async def write_all() -> None:
        while (task := await begun.get()) is not None:
            await write(await task)
            room.release()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write_all())
        await room.acquire()
        async for request in requests:
            begun.put_nowait(tasks.create_task(answer(request)))
            await room.acquire()
        begun.put_nowait(None)
