"""Clients that do what no client should: bytes, not requests."""

import asyncio
import os
import random
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADERS_FRAME, _SETTINGS_FRAME, _PING_FRAME, _WINDOW_FRAME = 1, 4, 6, 8
_ANSWER_S: Final = 2.0


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """An HTTP/2 frame.

    Source: RFC 9113, section 4.1.
    """
    return (
        struct.pack(">I", len(payload))[1:]
        + bytes([kind, flags])
        + struct.pack(">I", stream)
        + payload
    )


def http1_garbage(chance: random.Random) -> list[bytes]:
    """What is not HTTP/1.1, or nearly is."""
    post = b"POST /v1/entities HTTP/1.1\r\nhost: x\r\n"
    return [
        os.urandom(4_096),
        b"\x00" * 1_000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 20_000 + b"\r\n",
        post + b"content-length: -1\r\n\r\n",
        post + b"content-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        post + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        post + b"transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        post + b"content-type: application/json\r\ncontent-length: 99999999999999999999\r\n\r\n",
        post + b"content-type: application/json\r\ncontent-length: 10\r\n\r\n" + b"[" * 10,
        _PREFACE,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(64),  # TLS
    ]


def http2_garbage(chance: random.Random) -> list[bytes]:
    """What is not HTTP/2, or nearly is."""
    settings = frame(_SETTINGS_FRAME, 0, 0, b"")
    hello = _PREFACE + settings
    return [
        os.urandom(4_096),
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        _PREFACE + os.urandom(1_000),
        hello + frame(_HEADERS_FRAME, 4, 1, os.urandom(200)),  # no HPACK
        hello + frame(_HEADERS_FRAME, 4, 2, b"\x82"),  # a server's stream
        hello + frame(_SETTINGS_FRAME, 0, 1, b""),  # settings on a stream
        hello + frame(_SETTINGS_FRAME, 0, 0, b"abc"),  # of no whole number
        hello + frame(_WINDOW_FRAME, 0, 0, b"\x00\x00\x00\x00"),  # an increment of nothing
        hello + frame(chance.randrange(10, 255), 255, 1, chance.randbytes(100)),
        hello + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",  # a frame of 16 MiB that never comes
        hello + frame(_PING_FRAME, 0, 0, b"12345678") * 5_000,
        hello + frame(_HEADERS_FRAME, 4, 1, b"\x82") + frame(3, 0, 1, b"\x00\x00\x00\x08") * 1_000,
    ]


async def send_garbage(port: int, parts: Sequence[bytes]) -> int:
    """Sends each on a connection of its own, reads what comes and goes; gives how many it sent."""
    return sum(await asyncio.gather(*(_send(port, part) for part in parts)))


async def _send(port: int, part: bytes) -> bool:
    """Whether it was sent: to a service that was there, though it may have read only some of it."""
    was_sent = False
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_ANSWER_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(part)
                was_sent = True
                await writer.drain()
                while await reader.read(65_536):
                    pass
            finally:
                writer.transport.abort()
    return was_sent


@asynccontextmanager
async def idle_connections(port: int, count: int, opening: bytes) -> AsyncIterator[int]:
    """So many connections that send this and then nothing; gives how many were taken."""
    writers: list[asyncio.StreamWriter] = []

    async def connect() -> None:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            writer.write(opening)

    try:
        for _ in range(0, count, 100):
            await asyncio.gather(*(connect() for _ in range(100)))
        yield len(writers)
    finally:
        for writer in writers:
            writer.transport.abort()
        # The streams say goodbye to their transports in the turns that follow.
        await asyncio.sleep(0.05)
