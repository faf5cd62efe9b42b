"""Many callers at once, and callers that go away."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.crowd import crowd
from tests.e2e.stack import Process, serving

pytestmark = pytest.mark.timeout(180)

_CALLERS = 1_000
_SOME_CALLERS = 200
_TIMEOUT_S = 150.0


async def test_a_thousand_callers_at_once_are_answered_or_put_off(stack: Process) -> None:
    async def call(number: int) -> tuple[int, list[str]]:
        text = f"Caller {number} met Angela Merkel in Seoul."
        response = await callers.post(number, "/v1/entities", {"text": text})
        names = [entity["text"] for entity in response.json().get("entities", ())]
        return response.status_code, names

    async with crowd(stack.ports.url, _CALLERS, _TIMEOUT_S) as callers:
        answers = await asyncio.gather(*map(call, range(_CALLERS)))
    assert {status for status, _ in answers} <= {200, 429}
    answered = [names for status, names in answers if status == 200]
    assert answered
    assert all({"Angela Merkel", "Seoul"} <= set(names) for names in answered)


@pytest.mark.parametrize(
    ("words", "answer"), [(20_000, (200, 10_000)), (100_000, (422, 0))], ids=["long", "too long"]
)
async def test_a_document_among_many_sentences_costs_none_of_them_its_answer(
    tiny: Process, words: int, answer: tuple[int, int]
) -> None:
    """Where a batch fails as a whole, one text that cannot be run takes most of 48 with it."""

    async def call(number: int, text: str) -> tuple[int, int]:
        response = await callers.post(number, "/v1/entities", {"text": text})
        return response.status_code, len(response.json().get("entities", ()))

    document = "Angela Merkel visited Seoul. Tim Cook met Apple. " * (words // 8)
    sentences = ["Angela Merkel visited Seoul." + " a" * (number % 12) for number in range(48)]
    async with crowd(tiny.ports.url, 49, _TIMEOUT_S) as callers:
        answers = await asyncio.gather(*map(call, range(49), [document, *sentences]))
    assert answers == [answer, *[(200, 2)] * 48]


async def test_more_than_the_queue_holds_is_put_off_and_told_when_to_come_back(
    tmp_path: Path,
) -> None:
    """With a small queue: both kinds of answers come, and no other."""
    text = "Angela Merkel visited Seoul. " * 20
    # Fewer than a crowd: it is inference that refuses.
    with serving(tmp_path, INFERENCE_QUEUE_TOKENS="2000") as process:
        async with crowd(process.ports.url, _SOME_CALLERS, _TIMEOUT_S) as callers:
            responses = await asyncio.gather(
                *(callers.post(n, "/v1/entities", {"text": text}) for n in range(_SOME_CALLERS))
            )
            after = await callers.post(0, "/v1/entities", {"text": "Paris"})
    statuses = Counter(response.status_code for response in responses)
    assert set(statuses) == {200, 429}
    for response in responses:
        if response.status_code == 429:
            assert response.json()["reason"] == "QUEUE_FULL"
            assert int(response.headers["retry-after"]) >= 1
        else:
            assert len(response.json()["entities"]) == 40
    assert after.status_code == 200


async def test_callers_that_go_away_leave_their_neighbours_answered(tmp_path: Path) -> None:
    """Some seconds of work on a slow machine: nobody is put off, so that all who stay count."""
    sentence = "Angela Merkel visited Seoul. "

    async def call(number: int) -> int:
        text = sentence * (1 + number % 40)
        response = await callers.post(number, "/v1/entities", {"text": text})
        assert response.status_code == 200
        return len(response.json()["entities"])

    with serving(tmp_path, INFERENCE_MAX_WAIT_MS="0", GATEWAY_CROWD_MS="0") as process:
        async with crowd(process.ports.url, 120, _TIMEOUT_S) as callers:
            calls = [asyncio.create_task(call(number)) for number in range(120)]
            while not any(task.done() for task in calls):  # noqa: ASYNC110 - none of them in particular
                await asyncio.sleep(0.001)
            leaving = [task for task in calls[::2] if not task.done()]
            for task in leaving:
                task.cancel()  # httpx closes the connection under the running request
            assert leaving, "somebody must still wait when half of the callers leave"
            staying = await asyncio.gather(*calls[1::2])
            assert staying == [2 * (1 + number % 40) for number in range(1, 120, 2)]
            after = await callers.post(0, "/v1/entities", {"text": "Paris"})
            assert after.status_code == 200
            metrics = (await callers.get("/metrics")).text
    assert 'status="499"' in metrics, "the gateway noticed and gave up their work"
