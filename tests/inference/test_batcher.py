"""The loop that runs batches."""

import asyncio
import errno
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.batch_queue import BatchQueue
from inference.batcher import Batcher, Patience
from inference.core import Priority
from inference.cost_model import PRIOR
from inference.entry import Entry
from inference.errors import DeadlineExceeded, Draining, InferenceFailed, QueueFull
from inference.metrics import Metrics
from inference.reply import Reply, WindowScores

POISON = 666
NO_NUMBER = 667  # a window with it makes every score of its batch NaN


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
        scores = (ids * mask)[..., None].astype(np.float32)
        return scores * np.nan if (ids == NO_NUMBER).any() else scores


class FakeClock:
    """Stands until somebody moves it."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000

    def __call__(self) -> int:
        return self.now_ns


class ClockedSession(GatedSession):
    """Runs that take this long by a fake clock."""

    def __init__(self, clock: FakeClock, run_ns: int) -> None:
        super().__init__()
        self._clock, self._run_ns = clock, run_ns

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Moves the clock."""
        self._clock.now_ns += self._run_ns
        return super().run(ids, mask)


@pytest.fixture
def session() -> GatedSession:
    return GatedSession()


MakeBatcher = Callable[..., Batcher]


@pytest.fixture
def make_batcher() -> Iterator[MakeBatcher]:
    """Makes started batchers and closes them at the end."""
    made: list[Batcher] = []

    def make(
        workers: int = 1,
        limit_tokens: int = 10_000,
        metrics: Metrics | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        patience: Patience | None = None,
    ) -> Batcher:
        queue = BatchQueue(256, limit_tokens)
        patience = patience or Patience()
        batcher = Batcher(queue, workers, metrics or Metrics(), clock_ns, patience)
        batcher.start()
        made.append(batcher)
        return batcher

    yield make
    for batcher in made:
        batcher.close()


def call(
    session: GatedSession,
    *windows: list[int],
    expires_ns: int | None = None,
    priority: Priority = Priority.INTERACTIVE,
) -> tuple[Reply, list[Entry]]:
    """The reply and the entries of one call."""
    reply = Reply(len(windows), asyncio.get_running_loop())
    entries = [
        Entry(session, np.array(ids, dtype=np.int64), reply, i, 0, expires_ns, priority, "m/1")
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


async def test_a_deadline_that_has_passed_is_refused_at_the_door(
    make_batcher: MakeBatcher, session: GatedSession
) -> None:
    _, entries = call(session, [1] * 8, expires_ns=1)
    with pytest.raises(DeadlineExceeded):
        make_batcher().submit(entries)
    assert session.batches == []


async def test_a_window_that_expires_while_it_waits_is_refused_and_not_run(
    make_batcher: MakeBatcher, session: GatedSession
) -> None:
    clock = FakeClock()
    session.gate.clear()
    batcher = make_batcher(clock_ns=clock)
    running, entries = call(session, [1] * 8)
    batcher.submit(entries)
    await asyncio.to_thread(session.entered.wait, 10)
    waiting, waiting_entries = call(session, [2] * 8, expires_ns=clock() + 1_000)
    batcher.submit(waiting_entries)
    clock.now_ns += 1_000
    session.gate.set()
    assert isinstance((await asyncio.wait_for(waiting.outcomes(), 10))[0], DeadlineExceeded)
    await asyncio.wait_for(running.outcomes(), 10)
    assert session.batches == [1]


async def test_a_call_that_clearly_takes_longer_than_its_deadline_is_refused_at_the_door(
    make_batcher: MakeBatcher,
) -> None:
    """Runs take 10 ms by the clock; once that is known, 1 ms is refused and 1 s is not."""
    clock = FakeClock()
    session = ClockedSession(clock, 10_000_000)
    metrics = Metrics()
    batcher = make_batcher(metrics=metrics, clock_ns=clock)
    for left_ns in [None] * 20 + [1_000_000_000]:
        expires_ns = None if left_ns is None else clock() + left_ns
        reply, entries = call(session, [1] * 8, expires_ns=expires_ns)
        batcher.submit(entries)
        await asyncio.wait_for(reply.outcomes(), 10)
    _, entries = call(session, [1] * 8, expires_ns=clock() + 1_000_000)
    with pytest.raises(DeadlineExceeded):
        batcher.submit(entries)
    assert len(session.batches) == 21
    dropped = {"reason": "hopeless"}
    assert metrics.registry.get_sample_value("inference_windows_dropped_total", dropped) == 1


async def test_what_runs_cost_and_what_waits_are_shown(
    make_batcher: MakeBatcher, session: GatedSession
) -> None:
    metrics = Metrics()
    clock = FakeClock()
    clocked = ClockedSession(clock, 10_000_000)
    batcher = make_batcher(metrics=metrics, clock_ns=clock)
    for priority in (Priority.BULK, Priority.INTERACTIVE, Priority.BULK):
        reply, entries = call(clocked, [1] * 8, priority=priority)
        batcher.submit(entries)
        await asyncio.wait_for(reply.outcomes(), 10)
    value = metrics.registry.get_sample_value
    for priority_name, batches in (("bulk", 2), ("interactive", 1)):
        labels = {"model": "m", "version": "1", "priority": priority_name}
        assert value("inference_batches_total", labels) == batches
    parts = {
        part: value("inference_cost_seconds", {"model": "m", "version": "1", "of": part})
        for part in ("token", "padding", "sequence", "run")
    }
    assert 8 * (parts["token"] or 0) + (parts["sequence"] or 0) + (parts["run"] or 0) == (
        pytest.approx(0.01, rel=0.01)
    )
    assert value("inference_predicted_drain_seconds") == 0
    session.gate.clear()
    _, entries = call(session, [1] * 8)
    batcher.submit(entries)
    await asyncio.to_thread(session.entered.wait, 10)
    _, entries = call(session, [1] * 100)
    batcher.submit(entries)
    assert (value("inference_predicted_drain_seconds") or 0) > 0
    session.gate.set()


async def test_a_full_queue_refuses_and_says_when_to_come_back(
    make_batcher: MakeBatcher, session: GatedSession
) -> None:
    session.gate.clear()
    batcher = make_batcher(limit_tokens=2_000)
    running, entries = call(session, [1] * 8)
    batcher.submit(entries)
    await asyncio.to_thread(session.entered.wait, 10)
    waiting, waiting_entries = call(session, *[[2] * 100] * 20)
    batcher.submit(waiting_entries)
    _, refused = call(session, [3] * 1_000)
    with pytest.raises(QueueFull) as caught:
        batcher.submit(refused)
    # One model may have 1,500 tokens waiting, so as many must be run first, in full batches.
    assert caught.value.retry_after_s == pytest.approx(PRIOR.of(1_500, 0, 0, 1_500 / 256) / 1e9)
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


async def test_a_window_whose_scores_are_no_numbers_fails_alone(
    make_batcher: MakeBatcher, session: GatedSession
) -> None:
    """Even where it makes the scores of its neighbours no numbers either: no garbage, no loss."""
    session.gate.clear()
    batcher = make_batcher()
    _, first = call(session, [1] * 8)
    batcher.submit(first)
    await asyncio.to_thread(session.entered.wait, 10)
    reply, entries = call(session, [1, 2], [3, NO_NUMBER], [4, 5])
    batcher.submit(entries)
    session.gate.set()
    one, guilty, other = await asyncio.wait_for(reply.outcomes(), 10)
    assert isinstance(guilty, InferenceFailed)
    assert isinstance(one, WindowScores)
    assert isinstance(other, WindowScores)
    assert one.logits[:, 0].tolist() == [1, 2]
    assert other.logits[:, 0].tolist() == [4, 5]


async def test_scores_of_padding_may_be_anything(make_batcher: MakeBatcher) -> None:
    class NoPadding(GatedSession):
        def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
            scores = super().run(ids, mask)
            scores[mask == 0] = np.nan
            return scores

    session = NoPadding()
    reply, entries = call(session, [1, 2, 3], [4])
    make_batcher().submit(entries)
    outcomes = await asyncio.wait_for(reply.outcomes(), 10)
    assert all(isinstance(outcome, WindowScores) for outcome in outcomes)


async def test_a_worker_that_hangs_is_seen_until_its_run_ends(
    make_batcher: MakeBatcher, session: GatedSession
) -> None:
    session.gate.clear()
    batcher = make_batcher(patience=Patience(hang_ns=0, look_ns=10**18))
    reply, entries = call(session, [1] * 8)
    batcher.submit(entries)
    await asyncio.to_thread(session.entered.wait, 10)
    now_ns = time.monotonic_ns()
    assert [batcher.hanging(now_ns), batcher.hanging(now_ns + 10**12)] == [0, 1]
    session.gate.set()
    await asyncio.wait_for(reply.outcomes(), 10)
    assert batcher.hanging(now_ns + 2 * 10**12) == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_worker_that_has_died_counts_as_one_that_hangs(make_batcher: MakeBatcher) -> None:
    """What waits for it would wait for ever, and nobody would know."""

    class Deadly(GatedSession):
        def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
            raise SystemExit  # no error of a run: it ends the thread

    batcher = make_batcher(workers=2)
    now_ns = time.monotonic_ns()
    assert batcher.hanging(now_ns) == 0
    _, entries = call(Deadly(), [1] * 8)
    batcher.submit(entries)
    async with asyncio.timeout(10):
        while batcher.hanging(now_ns) != 1:  # noqa: ASYNC110 - as the watchdog sees it
            await asyncio.sleep(0.01)
    batcher.close()
    assert batcher.hanging(now_ns) == 0, "it was told to end"


async def test_closing_waits_for_a_run_that_hangs_only_as_long_as_it_is_told(
    make_batcher: MakeBatcher, session: GatedSession
) -> None:
    session.gate.clear()
    batcher = make_batcher()
    _, entries = call(session, [1] * 8)
    batcher.submit(entries)
    await asyncio.to_thread(session.entered.wait, 10)
    await asyncio.to_thread(batcher.close, 0.01)
    assert not session.gate.is_set(), "it still runs"
    session.gate.set()


async def test_an_interactive_call_that_would_wait_too_long_is_refused_however_small_it_is(
    make_batcher: MakeBatcher, session: GatedSession
) -> None:
    """Bulk waits; a call that meets nobody is admitted, however large; a book lets others pass."""
    session.gate.clear()
    batcher = make_batcher(patience=Patience(max_wait_ns=int(PRIOR.of(1_000))))
    _, running = call(session, [1] * 8)
    batcher.submit(running)
    await asyncio.to_thread(session.entered.wait, 10)
    _, book = call(session, *[[1] * 50 for _ in range(100)])
    batcher.submit(book)
    for _ in range(2):
        _, entries = call(session, *[[1] * 50 for _ in range(8)])
        batcher.submit(entries)
    _, entries = call(session, [1])
    with pytest.raises(QueueFull) as refused:
        batcher.submit(entries)
    assert refused.value.retry_after_s > 0
    _, bulk = call(session, [1], priority=Priority.BULK)
    batcher.submit(bulk)
    batcher.abandon(book)
    batcher.submit(entries)
    session.gate.set()


async def test_a_worker_that_waits_holds_nothing_of_what_it_ran(make_batcher: MakeBatcher) -> None:
    """Else a model that was unloaded would stay in memory for as long as nobody calls."""
    session = GatedSession()
    gone = threading.Event()
    weakref.finalize(session, gone.set)
    reply, entries = call(session, [1] * 8)
    make_batcher().submit(entries)
    await asyncio.wait_for(reply.outcomes(), 10)
    del session, reply, entries
    assert await asyncio.to_thread(gone.wait, 10)


@pytest.mark.skipif(sys.platform != "linux", reason="a priority is a thread's on Linux alone")
async def test_workers_give_way_to_the_event_loop(
    make_batcher: MakeBatcher, session: GatedSession
) -> None:
    niceness: list[int] = []

    class Noting(GatedSession):
        def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
            niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            return super().run(ids, mask)

    reply, entries = call(Noting(), [1] * 8)
    make_batcher().submit(entries)
    await asyncio.wait_for(reply.outcomes(), 10)
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert niceness == [min(own + 5, 19)]


@pytest.mark.skipif(sys.platform != "linux", reason="a priority is a thread's on Linux alone")
async def test_workers_that_may_not_give_way_work_all_the_same(
    make_batcher: MakeBatcher, session: GatedSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter of system calls forbids it, as systemd's `SystemCallFilter=~@resources`."""

    def forbid(*_: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "setpriority", forbid)
    reply, entries = call(session, [1] * 8)
    batcher = make_batcher(workers=2)
    batcher.submit(entries)
    (outcome,) = await asyncio.wait_for(reply.outcomes(), 10)
    assert isinstance(outcome, WindowScores)
    assert batcher.hanging(time.monotonic_ns()) == 0
