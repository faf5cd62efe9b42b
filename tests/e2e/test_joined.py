"""Requests that travel together are answered as if each had travelled alone."""

import asyncio
from itertools import product
from pathlib import Path

import pytest

from tests.e2e.crowd import Crowd, crowd
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
    patient = {"GATEWAY_CROWD_MS": "0", "INFERENCE_MAX_WAIT_MS": "0"}
    with serving(tmp_path, GATEWAY_JOINED_CALLS="1", **patient) as process:
        await _compare(process.ports.url)


async def _compare(url: str) -> None:
    async def call(number: int) -> object:
        response = await callers.post(number, "/v1/entities", {"text": texts[number]})
        assert response.status_code == 200, response.text
        return response.json()

    texts = _texts()
    assert len(texts) == _CALLERS
    async with crowd(url, _CALLERS, _TIMEOUT_S) as callers:
        alone = [await call(number) for number in range(_CALLERS)]
        before = await _joined_calls(callers)
        together = await asyncio.gather(*map(call, range(_CALLERS)))
        calls = await _joined_calls(callers) - before
    assert together == alone
    assert calls < _CALLERS, "some must have travelled together"


async def _joined_calls(callers: Crowd) -> int:
    lines = (await callers.get("/metrics")).text.splitlines()
    (count,) = (line for line in lines if line.startswith("gateway_joined_texts_count "))
    return int(float(count.split()[1]))
