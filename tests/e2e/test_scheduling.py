"""What REST callers may rely on when calls wait: priorities and deadlines."""

import asyncio

import httpx
import pytest

from tests.e2e.stack import Process

pytestmark = pytest.mark.timeout(120)

_SENTENCE = "Angela Merkel visited Seoul."
# Eight such calls are seconds of work: a client that is slow to send its clicks meets them still.
_BULK_TEXTS = 250


async def _names(client: httpx.AsyncClient, texts: int, priority: str) -> list[list[str]]:
    """The entities of each text of one call."""
    body = {"texts": [_SENTENCE] * texts, "priority": priority}
    response = await client.post("/v1/entities", json=body)
    assert response.status_code == 200, response.text
    return [[entity["text"] for entity in r["entities"]] for r in response.json()["results"]]


async def test_interactive_and_bulk_calls_are_both_answered(stack: Process) -> None:
    async with httpx.AsyncClient(base_url=stack.ports.url, timeout=100) as client:
        bulk = [asyncio.create_task(_names(client, _BULK_TEXTS, "bulk")) for _ in range(8)]
        clicks = [asyncio.create_task(_names(client, 1, "interactive")) for _ in range(16)]
        for names in await asyncio.gather(*clicks):
            assert names == [["Angela Merkel", "Seoul"]]
        assert any(not task.done() for task in bulk), "bulk came first and must have waited"
        for names in await asyncio.gather(*bulk):
            assert names == [["Angela Merkel", "Seoul"]] * _BULK_TEXTS


def test_an_unknown_priority_is_refused(http: httpx.Client) -> None:
    response = http.post("/v1/entities", json={"text": _SENTENCE, "priority": "urgent"})
    assert response.status_code == 422
    assert response.json()["reason"] == "FIELD_INVALID"


def test_a_deadline_that_cannot_be_met_ends_the_call(http: httpx.Client) -> None:
    for _ in range(30):
        assert http.post("/v1/entities", json={"text": _SENTENCE}).status_code == 200
    response = http.post(
        "/v1/entities",
        json={"texts": [_SENTENCE] * 250},
        headers={"X-Request-Timeout-Ms": "40"},
    )
    assert response.status_code == 504
    assert response.json()["reason"] == "DEADLINE_EXCEEDED"
