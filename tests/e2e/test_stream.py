"""Streams of lines through both services, at length."""

import asyncio
import json
from collections import deque
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from tests.duplex import duplex
from tests.e2e.answers import entities, found
from tests.e2e.sentences import bank
from tests.e2e.stack import FEW_ITEMS, WAIT_S, Process, answers, free_ports, started, until
from tests.plain_http import NO_TLS

pytestmark = pytest.mark.timeout(300)

_URL = "/v1/entities:stream"
_LINES = 2_000
_WIDE_CHARS = 8_000
_MIB = 1024 * 1024
# What both together may grow by, some 3 MiB as a rule: the lines of the long stream have 16 MB.
_MOST_GROWTH_BYTES = 12 * _MIB


def _line(number: int, text: str) -> bytes:
    return json.dumps({"id": number, "text": text}).encode() + b"\n"


def _texts(count: int) -> Iterator[str]:
    sentences = bank()
    for number in range(count):
        yield f"{sentences[number % len(sentences)]} {number}."


def _lines(count: int, ending: str = "") -> Iterator[bytes]:
    for number, text in enumerate(_texts(count)):
        # Every hundredth cannot be answered.
        yield _line(number, text + ending if number % 100 else "")


def _resident_bytes(process: Process) -> int:
    return sum(service.memory_info().rss for service in process.services())


def _gauge(text: str, name: str) -> float:
    (line,) = (line for line in text.splitlines() if line.startswith(f"{name} "))
    return float(line.split()[1])


async def _pending(process: Process, http: httpx.AsyncClient) -> tuple[float, float]:
    """Items that the gateway and inference hold of streams."""
    gateway = await http.get("/metrics")
    inference = await http.get(f"http://127.0.0.1:{process.ports.metrics}/metrics")
    return (
        _gauge(gateway.text, "gateway_stream_items_pending"),
        _gauge(inference.text, "inference_stream_items_pending"),
    )


async def _until_nothing_is_pending(process: Process, http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(WAIT_S):
        while await _pending(process, http) != (0, 0):  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.05)


def _client(process: Process) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=process.ports.url, timeout=2 * WAIT_S, verify=NO_TLS)


async def test_a_long_stream_is_answered_in_order_in_bounded_memory(tiny: Process) -> None:
    """Every line has its own answer or its own error."""
    async with duplex(tiny.ports.gateway, _URL) as caller:
        sending = asyncio.create_task(caller.send_all(_lines(_LINES, " " * _WIDE_CHARS)))
        await caller.head()
        before = most = 0
        number = -1
        async for answer in caller.lines():
            number += 1
            assert (answer["id"], answer["line"]) == (number, number + 1)
            assert ("error" in answer) == (number % 100 == 0)
            if number % 100 == 0:
                most = max(most, _resident_bytes(tiny))
                before = before or most
        await sending
    assert number == _LINES - 1
    assert most - before < _MOST_GROWTH_BYTES


async def test_a_line_gives_what_its_text_gives_alone(tiny: Process) -> None:
    texts = bank()
    async with _client(tiny) as http:
        body = b"".join(_line(number, text) for number, text in enumerate(texts))
        response = await http.post(_URL, content=body)
    with httpx.Client(base_url=tiny.ports.url, timeout=WAIT_S) as alone:
        for line, text in zip(response.text.splitlines(), texts, strict=True):
            answer = json.loads(line)
            assert list(map(found, answer["entities"])) == entities(alone, text)


async def test_a_slow_reader_holds_a_bounded_number_of_items_and_slows_nobody(
    tiny: Process,
) -> None:
    """He sends for as long as he can; others are answered in the meantime."""
    question = {"text": "Angela Merkel"}
    async with _client(tiny) as http:
        # Lines that have long answers.
        contents = (_line(number, "Angela Merkel, Seoul, " * 20) for number in count())
        async with duplex(tiny.ports.gateway, _URL) as caller, asyncio.timeout(2 * WAIT_S):
            sending = asyncio.create_task(caller.send_all(contents))
            seen: deque[float] = deque([0.0], maxlen=10)
            while set(seen) != {FEW_ITEMS.gateway}:
                answer = (await http.post("/v1/entities", json=question)).json()
                assert answer["entities"][0]["text"] == "Angela Merkel"
                gateway, inference = await _pending(tiny, http)
                assert gateway <= FEW_ITEMS.gateway
                assert inference <= FEW_ITEMS.inference
                seen.append(gateway)
                await asyncio.sleep(0.05)
            assert not sending.done(), "nobody reads from the socket any more"
            sending.cancel()
        await _until_nothing_is_pending(tiny, http)


async def test_a_stream_that_is_cancelled_leaves_nothing_in_flight(tiny: Process) -> None:
    async with _client(tiny) as http:
        async with duplex(tiny.ports.gateway, _URL) as caller:
            sending = asyncio.create_task(caller.send_all(_lines(100_000)))
            await caller.head()
            for _ in range(100):
                await caller.line()
            sending.cancel()
        await _until_nothing_is_pending(tiny, http)
        inference = await http.get(f"http://127.0.0.1:{tiny.ports.metrics}/metrics")
        assert _gauge(inference.text, "inference_waiting_tokens") == 0


async def test_curl_streams_from_a_pipe(tiny: Process, tmp_path: Path) -> None:
    """`curl -T -` asks whether to go on, sends in chunks, and writes answers as they come."""
    file = tmp_path / "lines"
    file.write_bytes(b"".join(_line(number, text) for number, text in enumerate(_texts(500))))
    with file.open("rb") as lines:
        process = await asyncio.create_subprocess_exec(
            *("curl", "-sSN", "-T", "-", "-X", "POST", tiny.ports.url + _URL),
            stdin=lines,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert [json.loads(line)["id"] for line in out.splitlines()] == list(range(500))


async def test_when_inference_drains_a_stream_says_so(tmp_path: Path) -> None:
    """What was taken is answered; the last line says why there are no more."""
    ports = free_ports()
    target = f"dns:///{ports.grpc_address}"
    with (
        started(tmp_path / "inference", ports, "inference") as inference,
        started(tmp_path / "gateway", ports, "gateway", GATEWAY_INFERENCE_TARGET=target) as gateway,
    ):
        until(lambda: answers(f"{ports.url}/readyz"), gateway)
        async with duplex(ports.gateway, _URL) as caller:
            sending = asyncio.create_task(caller.send_all(_lines(1_000_000)))
            await caller.head()
            lines = []
            async for line in caller.lines():
                lines.append(line)
                if len(lines) == 50:
                    inference.process.terminate()
            sending.cancel()
        assert inference.wait() == 0
    *answered, last = lines
    assert [answer["id"] for answer in answered] == list(range(len(answered)))
    assert last["error"]["reason"] in {"DRAINING", "INFERENCE_UNAVAILABLE"}
    assert "line" not in last
