"""A stream whose requests are worked on together and answered in their order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")


class OrderedStream(Generic[_Request, _Answer]):
    """One stream; a caller who takes no answers is read no further.

    Args:
        answer: works on one request; what it raises ends the stream.
        write: takes one answer; waits while the caller does not read.
        limit: requests that were read and whose answers are not yet taken, at most.
    """

    def __init__(
        self,
        answer: Callable[[_Request], Coroutine[Any, Any, _Answer]],
        write: Callable[[_Answer], Awaitable[None]],
        limit: int,
    ) -> None:
        self._answer = answer
        self._write = write
        self._room = asyncio.Semaphore(limit)
        # In the order of the requests; None ends it. As long as there is room at most.
        self._begun: asyncio.Queue[asyncio.Task[_Answer] | None] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None
        self._stopped = False
        self._read_all = False

    def stop(self) -> None:
        """Reads no further; what was read is answered, and `run` ends."""
        self._stopped = True
        if self._reader is not None:
            self._reader.cancel()

    async def run(self, requests: AsyncIterator[_Request]) -> bool:
        """Answers every request; cancelling it cancels those that are under way.

        Returns:
            Whether all that the caller sent was answered: it ended the stream, and not `stop`.
        """
        async with asyncio.TaskGroup() as tasks:
            self._reader = tasks.create_task(self._read(requests, tasks))
            # Not the last line of `_read`: a task that is cancelled before it begins has none.
            self._reader.add_done_callback(lambda _reader: self._begun.put_nowait(None))
            tasks.create_task(self._write_all())
            if self._stopped:
                self._reader.cancel()
        return self._read_all

    async def _read(self, requests: AsyncIterator[_Request], tasks: asyncio.TaskGroup) -> None:
        await self._room.acquire()
        async for request in requests:
            self._begun.put_nowait(tasks.create_task(self._answer(request)))
            await self._room.acquire()
        self._read_all = True

    async def _write_all(self) -> None:
        while (answering := await self._begun.get()) is not None:
            await self._write(await answering)
            self._room.release()
