"""Which windows are run next."""

import gc
import weakref

import pytest

from inference.batch_queue import BatchQueue
from inference.core import Priority
from inference.cost_model import PRIOR
from inference.entry import Entry
from tests.inference.entries import ONE, OTHER, IdleSession, call, entry, lengths

BULK = Priority.BULK
SECOND_NS = 1_000_000_000


def queue_of(*entries: Entry, batch_tokens: int = 256, now_ns: int = 0) -> BatchQueue:
    """A queue that holds these, each a call of its own."""
    queue = BatchQueue(batch_tokens, 100_000)
    for one in entries:
        queue.put([one], now_ns)
    return queue


def settle(queue: BatchQueue, session: IdleSession = ONE) -> None:
    """Lets the queue see runs that take what the prior predicts."""
    for _ in range(20):
        queue.observe(session, [24, 24], int(PRIOR.of(48, 2)))


def test_an_empty_queue_gives_nothing() -> None:
    queue = BatchQueue(256, 1000)
    queue.put([], 0)
    take = queue.take(0)
    assert (take.batch, take.expired) == ([], [])


def test_the_earliest_turn_is_always_in_the_batch() -> None:
    queue = queue_of(entry(200), *(entry(20) for _ in range(9)))
    assert lengths(queue.take(0).batch) == [200]


def test_near_equal_lengths_run_together_and_far_ones_wait() -> None:
    queue = queue_of(*(entry(n) for n in (24, 26, 22, 120)))
    assert sorted(lengths(queue.take(0).batch)) == [22, 24, 26]
    assert lengths(queue.take(0).batch) == [120]


def test_the_nearest_join_first() -> None:
    queue = queue_of(*(entry(n) for n in (24, 20, 28, 24, 22)), batch_tokens=72)
    assert sorted(lengths(queue.take(0).batch)) == [22, 24, 24]


def test_equal_turns_keep_the_order_of_arrival() -> None:
    first, second = entry(24), entry(24)
    queue = queue_of(first, second, batch_tokens=24)
    assert queue.take(0).batch == [first]
    assert queue.take(0).batch == [second]


def test_a_window_over_the_budget_runs_alone() -> None:
    queue = queue_of(entry(400), entry(400))
    assert lengths(queue.take(0).batch) == [400]


def test_free_workers_share_what_waits() -> None:
    queue = queue_of(*(entry(32) for _ in range(8)))
    assert len(queue.take(0, takers=2).batch) == 4
    assert len(queue.take(0, takers=1).batch) == 4


def test_expired_entries_are_handed_out_and_never_run() -> None:
    late, timely = entry(24, expires_ns=10), entry(24, expires_ns=11)
    take = queue_of(late, timely).take(10)
    assert (take.batch, take.expired) == ([timely], [late])


def test_who_has_clearly_too_little_time_left_is_not_run() -> None:
    run_ns = int(PRIOR.of(24))
    hopeless, tight = entry(24, expires_ns=run_ns // 3), entry(24, expires_ns=run_ns * 2 // 3)
    queue = queue_of(hopeless, tight)
    settle(queue)
    take = queue.take(0)
    assert (take.batch, take.expired) == ([tight], [hopeless])


def test_abandoned_entries_free_their_place_at_once_and_vanish() -> None:
    gone, kept = entry(24), entry(25)
    queue = queue_of(gone, kept)
    queue.abandon([gone])
    assert queue.waiting_tokens == 25
    take = queue.take(0)
    assert (take.batch, take.expired) == ([kept], [])
    assert queue.waiting_tokens == 0


def test_abandoning_what_runs_already_changes_nothing() -> None:
    running = entry(24)
    queue = queue_of(running)
    queue.take(0)
    queue.abandon([running])
    assert queue.waiting_tokens == 0


def test_calls_that_come_and_leave_while_another_waits_are_not_kept() -> None:
    queue = queue_of(entry(24))
    ids = []
    for _ in range(1_000):
        gone = entry(30)
        queue.put([gone], 0)
        queue.abandon([gone])
        ids.append(weakref.ref(gone.ids))
    assert sum(ref() is not None for ref in ids) < 100


def test_what_is_known_of_a_model_goes_with_it() -> None:
    queue = BatchQueue(256, 1000)
    session = IdleSession("short-lived")
    queue.put([entry(24, session=session)], 0)
    queue.observe(session, [24], 1)
    queue.take(0)
    del session
    gc.collect()
    assert queue.drain_ns() == 0
    assert not list(queue._backlogs)


def test_drain_empties_the_queue() -> None:
    one, gone = entry(24), entry(90, session=OTHER)
    queue = queue_of(one, gone)
    queue.abandon([gone])
    assert queue.drain() == [one]
    assert queue.waiting_tokens == 0
    assert queue.take(0).batch == []
    queue.put([one], 0)
    assert queue.take(0).batch == [one]


class TestLargeCalls:
    """A call of many windows beside small ones."""

    def test_a_short_text_passes_between_the_windows_of_a_long_document(self) -> None:
        document = call(*[128] * 50)
        queue = BatchQueue(128, 100_000)
        queue.put(document, 0)
        assert queue.take(0).batch == [document[0]]
        short = entry(20)
        queue.put([short], 0)
        assert queue.take(0).batch == [short]

    def test_it_waits_for_one_window_of_each_document_at_most(self) -> None:
        queue = BatchQueue(128, 10**6)
        for _ in range(30):
            queue.put(call(*[128] * 50), 0)
        for _ in range(100):
            queue.take(0)
        short = entry(20)
        queue.put([short], 0)
        assert any(short in queue.take(0).batch for _ in range(31))

    def test_short_texts_without_end_do_not_starve_a_document(self) -> None:
        document = call(*[128] * 5)
        queue = BatchQueue(256, 10**6)
        queue.put(document, 0)
        for _ in range(2_000):
            queue.put([entry(20)], 0)
            queue.put([entry(20)], 0)
            queue.take(0)
        assert not any(window.waiting for window in document)


class TestPriorities:
    """Interactive calls beside bulk."""

    def test_interactive_goes_before_bulk(self) -> None:
        queue = queue_of(*(entry(24, priority=BULK) for _ in range(50)))
        queue.take(0)
        for _ in range(20):
            click = entry(24)
            queue.put([click], 0)
            assert queue.take(0).batch == [click]

    def test_the_two_never_share_a_batch(self) -> None:
        queue = queue_of(entry(24), entry(24, priority=BULK))
        assert [len(queue.take(0).batch) for _ in range(2)] == [1, 1]

    def test_bulk_has_a_tenth_of_the_time_in_any_case(self) -> None:
        queue = BatchQueue(24, 10**6)
        taken = []
        for _ in range(1_000):
            queue.put([entry(24)], 0)
            queue.put([entry(24, priority=BULK)], 0)
            taken += queue.take(0).batch
        bulk = sum(one.priority is BULK for one in taken)
        assert bulk == pytest.approx(100, abs=3)

    def test_runs_of_bulk_are_short_while_interactive_calls_come(self) -> None:
        queue = queue_of(entry(24), *(entry(24, priority=BULK) for _ in range(50)))
        queue.take(0)
        assert len(queue.take(SECOND_NS - 1).batch) == 3
        assert len(queue.take(SECOND_NS).batch) == 10

    def test_bulk_may_not_fill_the_queue(self) -> None:
        queue = BatchQueue(256, 1_000)
        assert queue.excess_tokens(900, ONE, BULK) <= 0
        queue.put(call(*[100] * 4, priority=BULK), 0)
        assert queue.excess_tokens(100, ONE, BULK) <= 0
        assert queue.excess_tokens(101, ONE, BULK) == 1
        assert queue.excess_tokens(101, ONE) <= 0


class TestModels:
    """Several models."""

    def test_models_never_share_a_batch(self) -> None:
        queue = queue_of(entry(24, session=ONE), entry(24, session=OTHER))
        assert [len(queue.take(0).batch) for _ in range(2)] == [1, 1]

    def test_a_busy_model_does_not_delay_another(self) -> None:
        queue = queue_of(*(entry(24) for _ in range(500)))
        queue.take(0)
        quiet = entry(24, session=OTHER)
        queue.put([quiet], 0)
        assert any(quiet in queue.take(0).batch for _ in range(2))

    def test_models_with_work_have_the_same_share_of_the_time(self) -> None:
        queue = BatchQueue(256, 10**6)
        taken = []
        for _ in range(200):
            for session, tokens in ((ONE, 1_000), (OTHER, 16)):
                for _ in range(20):
                    queue.put([entry(tokens, session=session)], 0)
            taken += queue.take(0).batch
        of_one = sum(one.tokens for one in taken if one.session is ONE)
        # Taking turns by batches would give it four fifths.
        assert of_one / sum(one.tokens for one in taken) == pytest.approx(0.5, abs=0.05)

    def test_one_model_may_not_fill_the_queue(self) -> None:
        queue = BatchQueue(256, 1_000, model_limit_tokens=600)
        assert queue.excess_tokens(900, ONE) <= 0
        queue.put(call(*[100] * 5), 0)
        assert queue.excess_tokens(100, ONE) <= 0
        assert queue.excess_tokens(150, ONE) == 50
        assert queue.excess_tokens(500, OTHER) <= 0
        assert queue.excess_tokens(501, OTHER) == 1


class TestDeadlines:
    """Calls whose deadline clearly cannot be met."""

    def hopeless(self, queue: BatchQueue, tokens: list[int], left_s: float) -> bool:
        entries = call(*tokens)
        for one in entries:
            one.expires_ns = int(left_s * SECOND_NS)
        return queue.is_hopeless(entries, 0, workers=2)

    def test_a_call_that_is_too_large_for_its_deadline_is_hopeless(self) -> None:
        queue = BatchQueue(256, 10**6)
        settle(queue)
        assert self.hopeless(queue, [24] * 200, 0.01)
        assert not self.hopeless(queue, [24] * 200, 0.2)

    def test_so_is_one_behind_too_many_others(self) -> None:
        queue = BatchQueue(256, 10**6)
        settle(queue)
        assert not self.hopeless(queue, [24], 0.1)
        for _ in range(400):
            queue.put([entry(24)], 0)
        assert self.hopeless(queue, [24], 0.1)
        assert not self.hopeless(queue, [24], 0.4)

    def test_what_is_not_served_before_it_does_not_count(self) -> None:
        queue = BatchQueue(256, 10**6)
        settle(queue)
        queue.put(call(*[24] * 400), 0)
        queue.put(call(*[24] * 400, priority=BULK), 0)
        queue.put(call(*[24] * 400, session=OTHER), 0)
        assert not self.hopeless(queue, [24], 0.1)

    def test_nothing_is_predicted_before_some_runs(self) -> None:
        queue = BatchQueue(256, 10**6)
        assert not self.hopeless(queue, [24] * 200, 0.01)

    def test_a_price_that_would_refuse_all_is_put_right_by_those_that_come_after_a_while(
        self,
    ) -> None:
        queue = BatchQueue(256, 10**6)
        for _ in range(20):  # on a machine that stood still
            queue.observe(ONE, [24], SECOND_NS)
        is_refused = self.hopeless(queue, [24], 0.1)
        assert is_refused
        for now_ns in range(2 * SECOND_NS, 400 * SECOND_NS, 2 * SECOND_NS):
            one = entry(24, expires_ns=now_ns + SECOND_NS // 10)
            assert not queue.is_hopeless([one], now_ns, workers=2)
            queue.put([one], now_ns)
            assert queue.take(now_ns).batch == [one]
            behind = entry(24, expires_ns=now_ns + SECOND_NS // 10)
            is_refused = queue.is_hopeless([behind], now_ns, workers=2)
            assert is_refused or now_ns > 100 * SECOND_NS
            queue.observe(ONE, [24], int(PRIOR.of(24)))
        assert not is_refused

    def test_a_deadline_that_has_passed_is_hopeless_and_none_never_is(self) -> None:
        queue = BatchQueue(256, 10**6)
        assert self.hopeless(queue, [24], 0)
        assert not queue.is_hopeless(call(*[24] * 9_999), 0, workers=1)


def test_drain_time_is_the_work_that_waits() -> None:
    queue = queue_of(*(entry(32) for _ in range(16)))
    assert queue.drain_ns() == pytest.approx(PRIOR.of(512, 0, 0, 2))
    queue.drain()
    assert queue.drain_ns() == 0
