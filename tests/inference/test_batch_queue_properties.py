"""What holds of the queue whatever comes, leaves and is taken, in any order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from inference.batch_queue import BatchQueue, Take
from inference.core import Priority
from inference.entry import Entry
from tests.inference.entries import ONE, OTHER, call, entry

BATCH_TOKENS = 100
LIMIT_TOKENS = 3_000
TOKENS = st.integers(1, 150)
KINDS = st.tuples(st.sampled_from([ONE, OTHER]), st.sampled_from(Priority))


class QueueOfAnyOrder(RuleBasedStateMachine):
    """A queue beside a plain set of what must be in it."""

    waiting = Bundle("waiting")

    def __init__(self) -> None:
        super().__init__()
        self.queue = BatchQueue(BATCH_TOKENS, LIMIT_TOKENS)
        self.now_ns = 0
        self.inside: set[Entry] = set()
        self.takes_without: dict[Entry, int] = {}

    @rule(
        target=waiting,
        tokens=st.lists(TOKENS, min_size=1, max_size=8),
        kind=KINDS,
        left_ns=st.none() | st.integers(0, 30_000_000),
    )
    def put(self, tokens: list[int], kind: tuple[object, Priority], left_ns: int | None) -> object:
        session, priority = kind
        assert session in (ONE, OTHER)
        entries = call(*tokens, session=ONE if session is ONE else OTHER, priority=priority)
        if self.queue.excess_tokens(sum(tokens), entries[0].session, priority) > 0:
            return multiple()
        for one in entries:
            one.expires_ns = None if left_ns is None else self.now_ns + left_ns
        self.queue.put(entries, self.now_ns)
        self.inside |= set(entries)
        return multiple(*entries)

    @rule(gone=st.lists(consumes(waiting), max_size=4))
    def abandon(self, gone: list[Entry]) -> None:
        self.queue.abandon(gone)
        self.inside -= set(gone)

    @rule(elapsed_ns=st.integers(0, 20_000_000))
    def wait(self, elapsed_ns: int) -> None:
        self.now_ns += elapsed_ns

    @rule(lengths=st.lists(TOKENS, min_size=1, max_size=9), took_ns=st.integers(1, 10**9))
    def observe(self, lengths: list[int], took_ns: int) -> None:
        self.queue.observe(ONE, lengths, took_ns)

    @rule(takers=st.integers(1, 4))
    def take(self, takers: int) -> None:
        take = self.queue.take(self.now_ns, takers)
        self._check_dropped(take)
        self._check_batch(take)
        self.inside -= set(take.batch)

    @rule()
    def drain(self) -> None:
        drained = self.queue.drain()
        assert len(drained) == len(set(drained))
        assert set(drained) == self.inside
        self.inside.clear()

    @invariant()
    def counts_are_right(self) -> None:
        assert self.queue.waiting_tokens == sum(one.tokens for one in self.inside)
        assert self.queue.waiting_tokens <= LIMIT_TOKENS
        assert all(one.waiting for one in self.inside)
        assert (self.queue.drain_ns() > 0) == bool(self.inside)

    def teardown(self) -> None:
        """All that is left comes out: no entry is lost."""
        while self.inside:
            take = self.queue.take(self.now_ns)
            assert take.batch or take.expired
            self._check_dropped(take)
            self.inside -= set(take.batch)
        assert self.queue.take(self.now_ns) == Take([], [])

    def _check_dropped(self, take: Take) -> None:
        """Only the late are dropped: no time left, or half of what a run alone takes."""
        assert set(take.expired) <= self.inside
        assert len(set(take.expired)) == len(take.expired)
        for one in take.expired:
            assert one.expires_ns is not None
            costs = self.queue.costs(one.session)
            needed_ns = costs.costs.of(one.tokens) if costs.may_refuse(self.now_ns) else 0
            left_ns = one.expires_ns - self.now_ns
            assert left_ns <= 0 or left_ns < needed_ns / 2
        self.inside -= set(take.expired)

    def _check_batch(self, take: Take) -> None:
        batch = take.batch
        assert set(batch) <= self.inside
        assert len(set(batch)) == len(batch)
        assert bool(batch) == bool(self.inside)
        if not batch:
            return
        assert len({(one.session, one.priority) for one in batch}) == 1
        assert all(one.expires_ns is None or one.expires_ns > self.now_ns for one in batch)
        if len(batch) > 1:
            text = sum(one.tokens for one in batch)
            padded = max(one.tokens for one in batch) * len(batch)
            price = self.queue.costs(batch[0].session).costs.padding_price
            assert text + price * (padded - text) <= BATCH_TOKENS + 1e-6
            assert padded <= 4 * BATCH_TOKENS
        # The earliest turn of its lane is always served.
        lane = [
            one
            for one in self.inside
            if (one.session, one.priority) == (batch[0].session, batch[0].priority)
        ]
        assert min(one.turn for one in batch) == min(one.turn for one in lane)


QueueOfAnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestQueueOfAnyOrder = QueueOfAnyOrder.TestCase


class EveryTurnComes(RuleBasedStateMachine):
    """One entry waits while an adversary puts all that the queue admits before it."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = BatchQueue(BATCH_TOKENS, LIMIT_TOKENS)
        self.victim: Entry | None = None
        self.takes = 0

    @rule(tokens=st.lists(TOKENS, min_size=1, max_size=20), kind=KINDS)
    def put(self, tokens: list[int], kind: tuple[object, Priority]) -> None:
        session, priority = kind
        self._put(call(*tokens, session=ONE if session is ONE else OTHER, priority=priority))

    @rule(tokens=TOKENS, kind=KINDS)
    def put_the_victim(self, tokens: int, kind: tuple[object, Priority]) -> None:
        if self.victim is None:
            session, priority = kind
            victim = entry(tokens, session=ONE if session is ONE else OTHER, priority=priority)
            if self._put([victim]):
                self.victim, self.takes = victim, 0

    @rule(tokens=TOKENS, kind=KINDS)
    def take_and_refill(self, tokens: int, kind: tuple[object, Priority]) -> None:
        """Takes, and puts as much of one kind as the queue admits."""
        batch = self.queue.take(0).batch
        self.takes += 1
        if self.victim in batch:
            self.victim = None
        session, priority = kind
        runnable = ONE if session is ONE else OTHER
        while self._put([entry(tokens, session=runnable, priority=priority)]):
            pass

    def teardown(self) -> None:
        """Takes on, refilling with single interactive windows, until the victim is served."""
        while self.victim is not None:
            self.take_and_refill(20, (ONE, Priority.INTERACTIVE))
            # Ten times the time for bulk's tenth, two models, and all that is before it.
            assert self.takes < 20 * 2 * LIMIT_TOKENS

    def _put(self, entries: list[Entry]) -> bool:
        tokens = sum(one.tokens for one in entries)
        first = entries[0]
        if self.queue.excess_tokens(tokens, first.session, first.priority) > 0:
            return False
        self.queue.put(entries, 0)
        return True


EveryTurnComes.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestEveryTurnComes = EveryTurnComes.TestCase
