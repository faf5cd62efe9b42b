"""What is run next, together."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.batch_queue import BatchQueue, Entry
from inference.reply import Reply


@dataclass(frozen=True)
class IdleSession:
    """A session that is only told apart from others."""

    name: str

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        raise NotImplementedError


ONE, OTHER = IdleSession("one"), IdleSession("other")


@pytest.fixture(scope="module")
def reply() -> Iterator[Reply]:
    """A reply that nobody awaits."""
    loop = asyncio.new_event_loop()
    yield Reply(1, loop)
    loop.close()


def entry(
    reply: Reply,
    tokens: int,
    turn_ns: int = 0,
    expires_ns: int | None = None,
    session: IdleSession = ONE,
) -> Entry:
    """An entry of so many tokens."""
    return Entry(session, np.zeros(tokens, np.int64), reply, 0, 0, expires_ns, turn_ns)


def lengths(entries: list[Entry]) -> list[int]:
    """The length of each entry."""
    return [one.tokens for one in entries]


def queue_of(*entries: Entry, batch_tokens: int = 256) -> BatchQueue:
    """A queue that holds these."""
    queue = BatchQueue(batch_tokens, 100_000)
    queue.put(entries)
    return queue


def test_an_empty_queue_gives_nothing() -> None:
    take = BatchQueue(256, 1000).take(0)
    assert (take.batch, take.expired) == ([], [])


def test_the_earliest_turn_is_always_in_the_batch(reply: Reply) -> None:
    queue = queue_of(entry(reply, 20, turn_ns=5), entry(reply, 200, turn_ns=1))
    assert lengths(queue.take(9).batch) == [200]


def test_near_equal_lengths_run_together_and_far_ones_wait(reply: Reply) -> None:
    queue = queue_of(*(entry(reply, n) for n in (24, 26, 22, 120)))
    assert sorted(lengths(queue.take(0).batch)) == [22, 24, 26]
    assert lengths(queue.take(0).batch) == [120]


def test_equal_turns_keep_the_order_of_arrival(reply: Reply) -> None:
    first, second = entry(reply, 24), entry(reply, 24)
    queue = queue_of(first, second, batch_tokens=24)
    assert queue.take(0).batch == [first]
    assert queue.take(0).batch == [second]


def test_padding_counts_towards_the_budget(reply: Reply) -> None:
    queue = queue_of(*(entry(reply, 32) for _ in range(10)), batch_tokens=128)
    assert len(queue.take(0).batch) == 4


def test_a_window_over_the_budget_runs_alone(reply: Reply) -> None:
    queue = queue_of(entry(reply, 400), entry(reply, 400), batch_tokens=256)
    assert lengths(queue.take(0).batch) == [400]


def test_free_workers_share_what_waits(reply: Reply) -> None:
    queue = queue_of(*(entry(reply, 32) for _ in range(8)))
    assert len(queue.take(0, takers=2).batch) == 4
    assert len(queue.take(0, takers=1).batch) == 4


def test_expired_entries_are_handed_out_and_never_run(reply: Reply) -> None:
    late, timely = entry(reply, 24, expires_ns=10), entry(reply, 24, expires_ns=11)
    take = queue_of(late, timely).take(10)
    assert (take.batch, take.expired) == ([timely], [late])


def test_abandoned_entries_free_their_place_at_once_and_vanish(reply: Reply) -> None:
    gone, kept = entry(reply, 24), entry(reply, 25)
    queue = queue_of(gone, kept)
    queue.abandon([gone])
    assert queue.waiting_tokens == 25
    take = queue.take(0)
    assert (take.batch, take.expired) == ([kept], [])
    assert queue.waiting_tokens == 0


def test_abandoning_what_runs_already_changes_nothing(reply: Reply) -> None:
    running = entry(reply, 24)
    queue = queue_of(running)
    queue.take(0)
    queue.abandon([running])
    assert queue.waiting_tokens == 0


def test_models_never_share_a_batch(reply: Reply) -> None:
    queue = queue_of(entry(reply, 24, session=ONE), entry(reply, 24, session=OTHER))
    assert len(queue.take(0).batch) == 1
    assert len(queue.take(0).batch) == 1


def test_admission_is_bounded_by_waiting_tokens(reply: Reply) -> None:
    queue = BatchQueue(256, limit_tokens=100)
    queue.put([entry(reply, 60)])
    assert queue.admits(40)
    assert not queue.admits(41)


def test_a_short_text_passes_between_the_windows_of_a_long_document(reply: Reply) -> None:
    document = [entry(reply, 128, turn_ns=n * 100) for n in range(50)]
    queue = queue_of(*document, batch_tokens=128)
    queue.take(0)
    short = entry(reply, 20, turn_ns=150)
    queue.put([short])
    assert [queue.take(200).batch for _ in range(2)] == [[document[1]], [short]]


@given(st.data())
def test_every_entry_leaves_exactly_once_and_every_batch_is_within_bounds(
    reply: Reply, data: st.DataObject
) -> None:
    """Any mix of arrivals, departures, deadlines and takes."""
    queue = BatchQueue(batch_tokens=data.draw(st.integers(1, 300)), limit_tokens=10**6)
    waiting: list[Entry] = []
    now = 0
    for _ in range(data.draw(st.integers(1, 30))):
        now += data.draw(st.integers(0, 5))
        action = data.draw(st.sampled_from(["put", "put", "take", "abandon"]))
        if action == "put":
            entries = [
                entry(
                    reply,
                    data.draw(st.integers(1, 200)),
                    now + data.draw(st.integers(0, 9)),
                    data.draw(st.none() | st.integers(now, now + 9)),
                    data.draw(st.sampled_from([ONE, OTHER])),
                )
                for _ in range(data.draw(st.integers(1, 6)))
            ]
            queue.put(entries)
            waiting.extend(entries)
        elif action == "abandon" and waiting:
            gone = data.draw(st.sampled_from(waiting))
            queue.abandon([gone])
            waiting.remove(gone)
        elif action == "take":
            _check_take(queue, waiting, now, data.draw(st.integers(1, 4)))
        assert queue.waiting_tokens == sum(one.tokens for one in waiting)
    while waiting:
        _check_take(queue, waiting, now, 1)
    assert queue.take(now).batch == []


def _check_take(queue: BatchQueue, waiting: list[Entry], now: int, takers: int) -> None:
    take = queue.take(now, takers)
    for one in take.expired:
        assert one.expires_ns is not None
        assert one.expires_ns <= now
        waiting.remove(one)
    live = [one for one in waiting if one.expires_ns is None or one.expires_ns > now]
    assert bool(take.batch) == bool(live)
    if take.batch:
        assert min(one.turn_ns for one in take.batch) == min(one.turn_ns for one in live)
        assert len({one.session for one in take.batch}) == 1
        longest = max(lengths(take.batch))
        assert len(take.batch) == 1 or longest * len(take.batch) <= queue.batch_tokens
    for one in take.batch:
        assert one in live
        waiting.remove(one)


def test_drain_empties_the_queue(reply: Reply) -> None:
    one, gone = entry(reply, 24), entry(reply, 90, session=OTHER)
    queue = queue_of(one, gone)
    queue.abandon([gone])
    assert queue.drain() == [one]
    assert queue.waiting_tokens == 0
    assert queue.take(0).batch == []
