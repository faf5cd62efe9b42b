"""Items of streams wait for room in turn: a real engine with one worker and an unhurried model."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.batch_queue import BatchQueue
from inference.batcher import Batcher
from inference.core import Priority, RecognizeAnswer, RecognizeQuery
from inference.engine import Engine, Limits
from inference.metrics import Metrics
from inference.repository import Model, Repository, VersionState
from inference.servicers.stream_room import StreamRoom, StreamRooms
from inference.tokenization import Tokenizer
from tests.tiny_model import rust_tokenizer

_QUEUE_TOKENS = 4_000
_BULK = RecognizeQuery([], priority=Priority.BULK)
_SMALL = "Paris " * 100
_LARGE = "Paris " * 2_200
_RUN_S = 0.005


class UnhurriedModel:
    """The tiny model, whose runs take a while."""

    def __init__(self, model: Model) -> None:
        self._session = model.session
        self.run_s = _RUN_S

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        time.sleep(self.run_s)
        return self._session.run(ids, mask)


@pytest.fixture
def unhurried(model: Model) -> UnhurriedModel:
    return UnhurriedModel(model)


@pytest.fixture
def queue() -> BatchQueue:
    """What waits; bulk may fill half of it."""
    return BatchQueue(256, _QUEUE_TOKENS)


@pytest.fixture
async def rooms(
    model: Model, unhurried: UnhurriedModel, queue: BatchQueue
) -> AsyncIterator[StreamRooms]:
    """The rooms of a service with a small queue."""
    tokenizer = Tokenizer(rust_tokenizer(), 256)
    large = sum(len(window.ids) for window in tokenizer.tokenize(_LARGE).windows)
    assert queue.bulk_limit_tokens < large <= _QUEUE_TOKENS
    served = Model("tiny", "1", tokenizer, unhurried, model.decoder)
    repository = Repository([VersionState("tiny", "1", live=True, model=served)], "tiny")
    batcher = Batcher(queue, 1, Metrics())
    batcher.start()
    engine = Engine(repository, batcher, Limits(4, 20_000, _QUEUE_TOKENS))
    yield StreamRooms(engine)
    await asyncio.to_thread(batcher.close)
    engine.close()


async def recognize(room: StreamRoom, text: str) -> RecognizeAnswer:
    """One item of a stream."""
    return await room.recognize(replace(_BULK, texts=[text]))


async def _go_on(room: StreamRoom, text: str) -> None:
    while True:
        await recognize(room, text)


async def test_a_large_item_has_its_turn_among_small_ones_that_never_end(
    rooms: StreamRooms,
) -> None:
    """It needs the bulk part of the queue to be empty; the others fill it again and again."""
    streams = [rooms.of(_BULK) for _ in range(3)]
    small = [asyncio.create_task(_go_on(room, _SMALL)) for room in streams for _ in range(16)]
    try:
        await asyncio.sleep(20 * _RUN_S)
        by_name = rooms.of(replace(_BULK, model="tiny", version="1"))
        answer = await asyncio.wait_for(recognize(by_name, _LARGE), 10)
        assert len(answer.results[0]) == 2_200  # type: ignore[arg-type]
        assert not any(task.done() for task in small)
    finally:
        for task in small:
            task.cancel()
        await asyncio.wait(small)


async def test_a_stream_with_many_items_does_not_hold_up_one_with_few(rooms: StreamRooms) -> None:
    ended: list[str] = []

    async def note(name: str, room: StreamRoom) -> None:
        await recognize(room, _LARGE)
        ended.append(name)

    many, few = rooms.of(_BULK), rooms.of(_BULK)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(6):
            tasks.create_task(note("many", many))
        await asyncio.sleep(_RUN_S)
        tasks.create_task(note("few", few))
    assert ended.index("few") < 4


async def test_an_item_that_waits_for_a_worker_is_no_longer_in_line(
    rooms: StreamRooms, unhurried: UnhurriedModel, queue: BatchQueue
) -> None:
    """Else the queue would run empty before the next may come in."""
    unhurried.run_s = 0.1
    waiting: list[int] = []
    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            item = tasks.create_task(recognize(rooms.of(_BULK), "Paris " * 1_100))
            item.add_done_callback(lambda _: waiting.append(queue.waiting_tokens))
            await asyncio.sleep(_RUN_S)
    assert all(waiting[:-1])


async def test_who_leaves_the_line_lets_the_next_step_forward(rooms: StreamRooms) -> None:
    waiting = [asyncio.create_task(recognize(rooms.of(_BULK), _LARGE)) for _ in range(4)]
    await asyncio.sleep(_RUN_S)
    for leaver in waiting[:3]:
        leaver.cancel()
    answer = await asyncio.wait_for(waiting[3], 10)
    assert len(answer.results[0]) == 2_200  # type: ignore[arg-type]
    assert all(leaver.cancelled() for leaver in waiting[:3])
