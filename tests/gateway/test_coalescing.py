"""Which texts travel together, decided without a call or a clock."""

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.coalescing import Coalescer, JoinLimits, Waiting

_LIMITS = JoinLimits(calls=2, texts=4, chars=100, hold_s=1.0)


def _add(
    coalescer: Coalescer[str],
    *names: str,
    options: bytes = b"",
    chars: int = 10,
    since_s: float = 0,
) -> list[Waiting[str]]:
    added = [Waiting(name, options, chars, since_s) for name in names]
    for waiting in added:
        coalescer.add(waiting)
    return added


def _busy(limits: JoinLimits = _LIMITS) -> Coalescer[str]:
    """A coalescer with as many calls under way as make texts gather."""
    coalescer: Coalescer[str] = Coalescer(limits)
    for i in range(limits.calls):
        _add(coalescer, f"busy {i}")
        assert len(coalescer.take(0.0)) == 1
    return coalescer


def test_a_lone_text_is_sent_at_once() -> None:
    coalescer: Coalescer[str] = Coalescer(_LIMITS)
    _add(coalescer, "a")
    assert coalescer.take(0.0) == [["a"]]
    assert coalescer.hold_until_s is None


def test_what_waits_is_spread_over_the_free_calls() -> None:
    """Two servers behind the channel shall both have something to do."""
    coalescer: Coalescer[str] = Coalescer(_LIMITS)
    _add(coalescer, *"abcd")
    assert sorted(map(len, coalescer.take(0.0))) == [2, 2]


def test_texts_gather_while_enough_calls_are_under_way() -> None:
    coalescer = _busy()
    _add(coalescer, "a", "b")
    assert coalescer.take(0.5) == []
    coalescer.end()
    assert coalescer.take(0.5) == [["a", "b"]]


def test_a_call_that_is_full_is_sent_whatever_is_under_way() -> None:
    coalescer = _busy()
    _add(coalescer, *"abcde")
    assert [len(call) for call in coalescer.take(0.0)] == [4]
    assert coalescer.hold_until_s == 1.0, "the fifth waits"


def test_no_text_waits_longer_than_the_hold() -> None:
    coalescer = _busy()
    _add(coalescer, "a", since_s=3.0)
    _add(coalescer, "b", since_s=3.5)
    assert coalescer.hold_until_s == 4.0
    assert coalescer.take(3.99) == []
    assert coalescer.take(4.0) == [["a", "b"]]


def test_texts_that_ask_for_different_things_are_not_joined() -> None:
    coalescer = _busy()
    _add(coalescer, "a", "b", options=b"x")
    _add(coalescer, "c", options=b"y")
    coalescer.end()
    assert sorted(coalescer.take(2.0)) == [["a", "b"], ["c"]]


def test_texts_of_near_equal_length_travel_together() -> None:
    coalescer: Coalescer[str] = Coalescer(_LIMITS)
    for name, chars in (("short", 5), ("long", 40), ("brief", 6), ("lengthy", 41)):
        _add(coalescer, name, chars=chars)
    assert coalescer.take(0.0) == [["short", "brief"], ["long", "lengthy"]]


def test_a_call_holds_no_more_characters_than_its_bound() -> None:
    coalescer = _busy()
    _add(coalescer, *"abc", chars=40)
    coalescer.end()
    assert [len(call) for call in coalescer.take(0.0)] == [2, 1]


def test_who_left_is_not_sent() -> None:
    coalescer = _busy()
    first, second = _add(coalescer, "a", "b")
    coalescer.leave(first)
    coalescer.end()
    assert coalescer.take(0.0) == [["b"]]
    coalescer.leave(second)
    coalescer.leave(second)
    assert coalescer.hold_until_s is None


class _Traffic(RuleBasedStateMachine):
    """Any order of texts that come and leave, calls that end and time that passes."""

    @initialize(calls=st.integers(1, 4), texts=st.integers(1, 5), chars=st.integers(10, 60))
    def begin(self, calls: int, texts: int, chars: int) -> None:
        self.limits = JoinLimits(calls, texts, chars, hold_s=1.0)
        self.coalescer: Coalescer[int] = Coalescer(self.limits)
        self.now_s = 0.0
        self.names = count()
        self.waiting: dict[int, Waiting[int]] = {}
        self.under_way = 0
        self.settled = True

    @rule(chars=st.integers(1, 60), options=st.sampled_from([b"x", b"y"]))
    def come(self, chars: int, options: bytes) -> None:
        waiting = Waiting(next(self.names), options, chars, self.now_s)
        self.waiting[waiting.owner] = waiting
        self.coalescer.add(waiting)
        self.settled = False

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if self.waiting:
            owner = data.draw(st.sampled_from(sorted(self.waiting)))
            self.coalescer.leave(self.waiting.pop(owner))

    @rule()
    def end(self) -> None:
        if self.under_way:
            self.under_way -= 1
            self.coalescer.end()
            self.settled = False

    @rule(s=st.floats(0.0, 1.5))
    def pass_time(self, s: float) -> None:
        self.now_s += s
        self.settled = False

    @rule()
    def take(self) -> None:
        for call in self.coalescer.take(self.now_s):
            sent = [self.waiting.pop(owner) for owner in call]  # fails if lost, left or doubled
            assert 1 <= len(sent) <= self.limits.texts
            assert len({waiting.options for waiting in sent}) == 1
            assert len(sent) == 1 or sum(w.chars for w in sent) <= self.limits.chars
            self.under_way += 1
        self.settled = True

    @invariant()
    def nothing_waits_without_a_reason(self) -> None:
        if self.settled and self.waiting:
            oldest_s = min(waiting.since_s for waiting in self.waiting.values())
            assert self.coalescer.hold_until_s == oldest_s + self.limits.hold_s
            assert self.coalescer.hold_until_s > self.now_s
            assert self.under_way >= self.limits.calls
        if not self.waiting:
            assert self.coalescer.hold_until_s is None


TestTraffic = _Traffic.TestCase
TestTraffic.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


@given(n=st.integers(1, 60), calls=st.integers(1, 9), texts=st.integers(1, 9))
def test_an_idle_coalescer_sends_everything_in_as_few_calls_as_its_bounds_allow(
    n: int, calls: int, texts: int
) -> None:
    coalescer: Coalescer[str] = Coalescer(JoinLimits(calls, texts, 10_000, 1.0))
    _add(coalescer, *map(str, range(n)))
    taken = coalescer.take(0.0)
    assert sum(map(len, taken)) == n
    assert len(taken) <= max(calls, -(-n // texts))


@pytest.mark.parametrize("since_s", [0.0, 5.0])
def test_the_hold_is_counted_from_the_arrival(since_s: float) -> None:
    coalescer = _busy()
    _add(coalescer, "a", since_s=since_s)
    assert coalescer.hold_until_s == since_s + _LIMITS.hold_s
