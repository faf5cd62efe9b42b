"""Room in the queue for the items of streams, which wait for it and are not refused.

If each asked again when it liked, small items would take whatever room there is, and one that needs
half of the queue to be empty would wait for as long as they come. So items that found no room stand
in line, and those that come later stand behind them. Of a stream one item at a time is in line: a
stream with many does not hold up one that has few.

Each model has a line of its own: who waits for the part of the queue that one model may fill, or
for a model to be loaded, holds up nobody who asks for another.
"""

import asyncio
from contextlib import ExitStack
from typing import TypeAlias
from weakref import WeakValueDictionary

from inference.core import Priority, RecognizeAnswer, RecognizeQuery
from inference.engine import Engine
from inference.errors import QueueFull

_Key: TypeAlias = tuple[str, Priority]  # a model, by name


class StreamRooms:
    """The line of each model and priority, as long as a stream asks for it.

    Args:
        engine: answers the items.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lines: WeakValueDictionary[_Key, asyncio.Lock] = WeakValueDictionary()

    def of(self, query: RecognizeQuery) -> "StreamRoom":
        """The place of one stream.

        Args:
            query: what its items have in common.
        """
        key = (query.model or self._engine.repository.default_model, query.priority)
        line = self._lines.setdefault(key, asyncio.Lock())
        return StreamRoom(self._engine, line)


class StreamRoom:
    """Where the items of one stream wait.

    Args:
        engine: answers them.
        line: held by the item that is next, of whichever stream.
    """

    def __init__(self, engine: Engine, line: asyncio.Lock) -> None:
        self._engine = engine
        self._line = line
        self._own = asyncio.Lock()  # held by the stream's item that is in line

    async def recognize(
        self, query: RecognizeQuery, expires_ns: int | None = None
    ) -> RecognizeAnswer:
        """As the engine's, but waits where that raises QueueFull."""
        if not (self._own.locked() or self._line.locked()):
            try:
                return await self._engine.recognize(query, expires_ns)
            except QueueFull:
                pass
        with ExitStack() as turn:
            for lock in (self._own, self._line):
                await lock.acquire()
                turn.callback(lock.release)
            while True:
                try:
                    return await self._engine.recognize(query, expires_ns, on_queued=turn.close)
                except QueueFull as error:
                    await asyncio.sleep(error.retry_after_s)
