"""The loop that runs batches."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.batch_queue import BatchQueue, Entry
from inference.batcher import Batcher
from inference.errors import DeadlineExceeded, Draining, InferenceFailed, QueueFull
from inference.metrics import Metrics
from inference.reply import Reply, WindowScores

POISON = 666


class GatedSession:
    """Runs only while its gate is open; fails on poison; remembers the size of each batch."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.batches: list[int] = []

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits that repeat the ids, float32 [batch, tokens, 1]."""
        self.entered.set()
        assert self.gate.wait(10)
        self.batches.append(len(ids))
        if (ids == POISON).any():
            raise RuntimeError("poison")
        return (ids * mask)[..., None].astype(np.float32)


@pytest.fixture
def session() -> GatedSession:
    return GatedSession()


MakeBatcher = Callable[..., Batcher]


@pytest.fixture
def make_batcher() -> Iterator[MakeBatcher]:
    """Makes started batchers and closes them at the end."""
    made: list[Batcher] = []

    def make(workers: int = 1, limit_tokens: int = 10_000) -> Batcher:
        batcher = Batcher(BatchQueue(256, limit_tokens), workers, Metrics())
        batcher.start()
        made.append(batcher)
        return batcher

    yield make
    for batcher in made:
        batcher.close()


def call(
    session: GatedSession, *windows: list[int], expires_ns: int | None = None
) -> tuple[Reply, list[Entry]]:
    """The reply and the entries of one call."""
    reply = Reply(len(windows), asyncio.get_running_loop())
    entries = [
        Entry(session, np.array(ids, dtype=np.int64), reply, i, 0, expires_ns, 0)
        for i, ids in enumerate(windows)
    ]
    return reply, entries


async def test_each_window_gets_its_own_rows_back(
    make_batcher: MakeBatcher, session: GatedSession
) -> None:
    reply, entries = call(session, [1, 2, 3], [4, 5, 6, 7])
    make_batcher().submit(entries)
    outcomes = await asyncio.wait_for(reply.outcomes(), 10)
    scores = [o.logits[:, 0].tolist() for o in outcomes if isinstance(o, WindowScores)]
    assert scores == [[1, 2, 3], [4, 5, 6, 7]]


async def test_calls_that_wait_for_a_worker_run_together(
    make_batcher: MakeBatcher, session: GatedSession
) -> None:
    batcher = make_batcher()
    session.gate.clear()
    replies = []
    for n in range(5):
        reply, entries = call(session, [n + 1] * 8)
        batcher.submit(entries)
        replies.append(reply)
        if n == 0:
            await asyncio.to_thread(session.entered.wait, 10)
    session.gate.set()
    for reply in replies:
        await asyncio.wait_for(reply.outcomes(), 10)
    assert session.batches == [1, 4]


async def test_a_window_that_cannot_be_run_fails_alone(
    make_batcher: MakeBatcher, session: GatedSession
) -> None:
    session.gate.clear()
    batcher = make_batcher()
    first, entries = call(session, [1] * 8)
    batcher.submit(entries)
    await asyncio.to_thread(session.entered.wait, 10)
    good, good_entries = call(session, [2] * 8)
    bad, bad_entries = call(session, [POISON] * 8)
    batcher.submit(good_entries)
    batcher.submit(bad_entries)
    session.gate.set()
    assert isinstance((await asyncio.wait_for(good.outcomes(), 10))[0], WindowScores)
    assert isinstance((await asyncio.wait_for(bad.outcomes(), 10))[0], InferenceFailed)
    assert isinstance((await asyncio.wait_for(first.outcomes(), 10))[0], WindowScores)


async def test_an_abandoned_call_is_not_run_and_its_neighbours_are(
    make_batcher: MakeBatcher, session: GatedSession
) -> None:
    session.gate.clear()
    batcher = make_batcher()
    running, entries = call(session, [1] * 8)
    batcher.submit(entries)
    await asyncio.to_thread(session.entered.wait, 10)
    _, gone = call(session, [2] * 8)
    kept, kept_entries = call(session, [3] * 8)
    batcher.submit(gone)
    batcher.submit(kept_entries)
    batcher.abandon(gone)
    session.gate.set()
    await asyncio.wait_for(asyncio.gather(running.outcomes(), kept.outcomes()), 10)
    assert session.batches == [1, 1]


async def test_the_caller_of_a_running_window_may_leave(
    make_batcher: MakeBatcher, session: GatedSession
) -> None:
    session.gate.clear()
    batcher = make_batcher()
    gone, gone_entries = call(session, [1] * 8)
    batcher.submit(gone_entries)
    waiting = asyncio.create_task(gone.outcomes())
    await asyncio.to_thread(session.entered.wait, 10)
    waiting.cancel()
    batcher.abandon(gone_entries)
    kept, kept_entries = call(session, [2] * 8)
    batcher.submit(kept_entries)
    session.gate.set()
    assert isinstance((await asyncio.wait_for(kept.outcomes(), 10))[0], WindowScores)


async def test_an_expired_window_is_refused_and_not_run(
    make_batcher: MakeBatcher, session: GatedSession
) -> None:
    reply, entries = call(session, [1] * 8, expires_ns=1)
    make_batcher().submit(entries)
    assert isinstance((await asyncio.wait_for(reply.outcomes(), 10))[0], DeadlineExceeded)
    assert session.batches == []


async def test_a_full_queue_refuses_and_says_when_to_come_back(
    make_batcher: MakeBatcher, session: GatedSession
) -> None:
    session.gate.clear()
    batcher = make_batcher(limit_tokens=20)
    running, entries = call(session, [1] * 8)
    batcher.submit(entries)
    await asyncio.to_thread(session.entered.wait, 10)
    waiting, waiting_entries = call(session, [2] * 16)
    batcher.submit(waiting_entries)
    _, refused = call(session, [3] * 8)
    with pytest.raises(QueueFull) as caught:
        batcher.submit(refused)
    assert caught.value.retry_after_s > 0
    session.gate.set()
    await asyncio.wait_for(asyncio.gather(running.outcomes(), waiting.outcomes()), 10)


async def test_closing_answers_what_waits_and_refuses_what_comes(
    make_batcher: MakeBatcher, session: GatedSession
) -> None:
    session.gate.clear()
    batcher = make_batcher()
    running, entries = call(session, [1] * 8)
    batcher.submit(entries)
    await asyncio.to_thread(session.entered.wait, 10)
    waiting, waiting_entries = call(session, [2] * 8)
    batcher.submit(waiting_entries)
    closing = asyncio.create_task(asyncio.to_thread(batcher.close))
    assert isinstance((await asyncio.wait_for(waiting.outcomes(), 10))[0], Draining)
    session.gate.set()
    await asyncio.wait_for(closing, 10)
    assert isinstance((await asyncio.wait_for(running.outcomes(), 10))[0], WindowScores)
    _, late = call(session, [3] * 8)
    with pytest.raises(Draining):
        batcher.submit(late)


async def test_workers_run_at_the_same_time(
    make_batcher: MakeBatcher, session: GatedSession
) -> None:
    """Two runs that wait for each other end only if both are under way."""
    barrier = threading.Barrier(2, timeout=10)

    class Meeting(GatedSession):
        def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
            barrier.wait()
            return super().run(ids, mask)

    batcher = make_batcher(workers=2)
    replies = []
    for other in (Meeting(), Meeting()):
        reply, entries = call(other, [1] * 8)
        batcher.submit(entries)
        replies.append(reply)
    for reply in replies:
        outcomes = await asyncio.wait_for(reply.outcomes(), 10)
        assert isinstance(outcomes[0], WindowScores)
