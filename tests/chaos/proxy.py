"""A small TCP proxy that cuts, delays and narrows what goes through it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

_PART_BYTES: Final = 16_384


class Proxy:
    """Listens on a free port and hands on to another; a context, which ends every connection.

    Attributes:
        port: listened on.
        delay_s: before each part is handed on.
        bytes_per_s: at most, each way of each connection; none: any.
        swallows: whether everything vanishes, as behind a firewall that drops.
        accepts: whether new connections are taken; else they are closed at once.
    """

    def __init__(self, host: str, target_port: int) -> None:
        self._host, self._target_port = host, target_port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0
        self.mend()

    def mend(self) -> None:
        """Hands everything on again, at once."""
        self.delay_s = 0.0
        self.bytes_per_s: float | None = None
        self.swallows = False
        self.accepts = True

    async def __aenter__(self) -> Self:
        """Listens."""
        self._server = await asyncio.start_server(self._serve, self._host, 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends every connection."""
        if self._server is not None:
            self._server.close()
        await self.cut()
        # The streams say goodbye to their transports in the turns that follow.
        await asyncio.sleep(0.05)

    async def cut(self) -> int:
        """Ends every connection that is open; gives how many."""
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        return len(connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(OSError):
                if self.accepts:
                    await self._join(reader, writer)
        except asyncio.CancelledError:
            pass  # cut; asyncio would log it
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._host, self._target_port)
        ways = [
            asyncio.ensure_future(self._hand_on(reader.read, far_writer)),
            asyncio.ensure_future(self._hand_on(far_reader.read, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            far_writer.transport.abort()

    async def _hand_on(
        self, read: Callable[[int], Awaitable[bytes]], writer: asyncio.StreamWriter
    ) -> None:
        while part := await read(_PART_BYTES):
            if self.swallows:
                continue
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if self.bytes_per_s is not None:
                await asyncio.sleep(len(part) / self.bytes_per_s)
            writer.write(part)
            await writer.drain()
