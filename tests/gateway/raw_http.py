"""HTTP by hand: what no client library would send."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

_LIMIT_S = 20

# A request for the entities of one text: its head, less the empty line, and its body.
URL = "/v1/entities"
TEXT = {"text": "Tim"}
BODY = json.dumps(TEXT).encode()
_BEGINNING = f"POST {URL} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n".encode()
HEAD = _BEGINNING + f"content-length: {len(BODY)}\r\n".encode()
CHUNKED_HEAD = _BEGINNING + b"transfer-encoding: chunked\r\n"
# Another request, which needs no inference service.
GET = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """Everything that came until the server closed the connection."""

    raw: bytes

    @property
    def statuses(self) -> list[int]:
        """The statuses of the answers on the connection, in order."""
        lines = self.raw.replace(b"}HTTP/1.1", b"}\r\nHTTP/1.1").split(b"\r\n")
        return [int(line.split()[1]) for line in lines if line.startswith(b"HTTP/1.1 ")]


@dataclass(frozen=True, slots=True)
class RawConnection:
    """A connection to a gateway."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, raw: bytes) -> None:
        """Send bytes; those that are refused on the way are no fault."""
        try:
            self.writer.write(raw)
            await self.writer.drain()
        except (ConnectionResetError, BrokenPipeError):
            pass

    async def answer(self) -> RawAnswer:
        """Wait for the server to close the connection.

        Raises:
            TimeoutError: it does not.
        """
        received = bytearray()
        async with asyncio.timeout(_LIMIT_S):
            try:
                while chunk := await self.reader.read(65_536):
                    received += chunk
            except ConnectionResetError:
                pass
        return RawAnswer(bytes(received))


@asynccontextmanager
async def connected(http: httpx.AsyncClient) -> AsyncIterator[RawConnection]:
    """Connect to the gateway of a client."""
    host, port = http.base_url.host, http.base_url.port
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.close()


async def send_raw(http: httpx.AsyncClient, raw: bytes) -> RawAnswer:
    """Send bytes on a connection of their own; give all that comes back until it is closed."""
    async with connected(http) as connection:
        await connection.send(raw)
        return await connection.answer()
