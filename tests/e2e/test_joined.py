"""Requests that travel together are answered as if each had travelled alone."""

import asyncio
from itertools import product
from pathlib import Path

import httpx
import pytest

from tests.e2e.sentences import bank
from tests.e2e.stack import serving

pytestmark = pytest.mark.timeout(180)

_CALLERS = 200
_TIMEOUT_S = 150.0


def _texts() -> list[str]:
    """As many different texts, of one sentence or two."""
    pairs = (f"{first} {second}" for first, second in product(bank(), bank()[::7]))
    return list(dict.fromkeys([*bank(), *pairs]))[:_CALLERS]


async def test_two_hundred_texts_at_once_give_what_they_give_one_by_one(tmp_path: Path) -> None:
    """One call at a time, so that the others must wait for it and each other."""
    with serving(tmp_path, GATEWAY_JOINED_CALLS="1", GATEWAY_CROWD_MS="0") as process:
        await _compare(process.ports.url)


async def _compare(url: str) -> None:
    async def call(text: str) -> object:
        response = await client.post("/v1/entities", json={"text": text})
        assert response.status_code == 200, response.text
        return response.json()

    texts = _texts()
    assert len(texts) == _CALLERS
    limits = httpx.Limits(max_connections=_CALLERS)
    async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_S, limits=limits) as client:
        alone = [await call(text) for text in texts]
        before = await _joined_calls(client)
        together = await asyncio.gather(*map(call, texts))
        calls = await _joined_calls(client) - before
    assert together == alone
    assert calls < _CALLERS, "some must have travelled together"


async def _joined_calls(client: httpx.AsyncClient) -> int:
    lines = (await client.get("/metrics")).text.splitlines()
    (count,) = (line for line in lines if line.startswith("gateway_joined_texts_count "))
    return int(float(count.split()[1]))
