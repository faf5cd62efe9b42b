"""A caller of HTTP/1.1 that sends and reads at the same time, which few clients do."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

# However much the machine does besides.
_LIMIT_S = 60
_SMALL_BYTES = 4096


class Duplex:
    """One request of lines, and its answer; both in chunks.

    Args:
        reader: of the connection.
        writer: of the connection.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, content: bytes) -> None:
        """Sends a part of the body; waits while the server does not read."""
        self._writer.write(b"%x\r\n%b\r\n" % (len(content), content))
        await self._writer.drain()

    def end(self) -> None:
        """Ends the body."""
        self._writer.write(b"0\r\n\r\n")

    async def send_all(self, contents: Iterable[bytes]) -> None:
        """Sends a whole body; a connection that is cut ends it."""
        with suppress(ConnectionError):
            for content in contents:
                await self.send(content)
            self.end()

    async def head(self) -> bytes:
        """Reads the head of the answer."""
        return await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), _LIMIT_S)

    async def line(self) -> dict[str, Any]:
        """Reads the next chunk, which must be one line; empty at the end."""
        async with asyncio.timeout(_LIMIT_S):
            size = int(await self._reader.readuntil(b"\r\n"), 16)
            content = (await self._reader.readexactly(size + 2))[:-2]
        if not size:
            return {}
        assert content.count(b"\n") == 1
        assert content.endswith(b"\n")
        line: dict[str, Any] = json.loads(content)
        return line

    async def lines(self) -> AsyncIterator[dict[str, Any]]:
        """Reads to the end."""
        while line := await self.line():
            yield line

    async def cut(self) -> None:
        """Cuts the connection."""
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()


@asynccontextmanager
async def duplex(port: int, path: str, *headers: str) -> AsyncIterator[Duplex]:
    """Begins a POST to a port of this machine, and cuts the connection at the end.

    Little fits into the caller's buffers, so that one that does not read is soon felt.
    """
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BYTES)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=_SMALL_BYTES)
    head = [f"POST {path} HTTP/1.1", "host: x", "transfer-encoding: chunked", *headers]
    writer.write("\r\n".join([*head, "", ""]).encode())
    caller = Duplex(reader, writer)
    try:
        yield caller
    finally:
        await caller.cut()
