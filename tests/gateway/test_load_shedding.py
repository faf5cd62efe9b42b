"""Who is refused under overload, decided without a call or a clock."""

import math
from collections import deque
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.load_shedding import LoadShedder, ShedLimits

_LIMITS = ShedLimits(crowd_s=0.25, least_texts=4)
_CROWD = 8 * 4


def _crowded(texts: int, now_s: float = 0.0) -> LoadShedder[int]:
    shedder: LoadShedder[int] = LoadShedder(_LIMITS)
    for number in range(texts):
        assert not shedder.refuses(now_s)
        assert shedder.enter(number, now_s) == []
    return shedder


def _overloaded() -> LoadShedder[int]:
    """Four texts are under way, 0 to 3, and no more may be."""
    shedder = _crowded(_CROWD)
    for number in shedder.enter(_CROWD, 0.0):
        shedder.leave(number, answered=False)
    return shedder


def test_a_crowd_is_let_in() -> None:
    shedder = _crowded(_CROWD)
    assert not shedder.overloaded
    assert not shedder.refuses(0.0)


def test_one_too_many_gives_up_the_newest() -> None:
    shedder = _crowded(_CROWD)
    assert shedder.enter(_CROWD, 0.0) == [*range(4, _CROWD + 1)]
    assert shedder.overloaded


def test_under_overload_one_comes_for_each_that_is_answered() -> None:
    shedder = _overloaded()
    assert shedder.refuses(0.1)
    shedder.leave(0, answered=True)
    assert not shedder.refuses(0.1)
    assert shedder.enter(100, 0.1) == []
    assert shedder.refuses(0.1)


def _second(shedder: LoadShedder[int], now_s: float, *, answered: int, refused: int) -> None:
    """A second in which the four texts of the beginning are answered, and others after them."""
    under_way = deque(range(4))
    for _ in range(refused):
        assert shedder.refuses(now_s)
    for number in range(answered):
        shedder.leave(under_way.popleft(), answered=True)
        shedder.enter(1_000 + number, now_s)
        under_way.append(1_000 + number)


@pytest.mark.parametrize(("refused", "goes_on"), [(0, False), (2, False), (30, True), (2000, True)])
def test_overload_ends_with_a_second_in_which_few_were_refused(refused: int, goes_on: bool) -> None:
    shedder = _overloaded()
    # The first second has those that were given up.
    assert shedder.refuses(1.5)
    assert shedder.overloaded
    _second(shedder, 1.6, answered=100, refused=refused)
    shedder.refuses(2.6)
    assert shedder.overloaded is goes_on


def test_a_service_that_answers_more_may_have_more_under_way() -> None:
    shedder = _crowded(4)
    _second(shedder, 0.5, answered=1_000, refused=0)
    names = count(10_000)
    for _ in range(250):
        assert shedder.enter(next(names), 1.0) == []
    assert shedder.enter(next(names), 1.0), "a quarter of a second's worth was under way"
    assert not _crowded(_CROWD).overloaded


def test_what_failed_is_no_proof_that_more_can_be_answered() -> None:
    shedder = _crowded(4)
    for number in range(4):
        shedder.leave(number, answered=False)
    for number in range(100, 100 + _CROWD):
        shedder.enter(number, 2.0)
    assert shedder.enter(999, 2.0)


@given(st.lists(st.integers(0, 40), max_size=60))
def test_there_are_never_more_than_a_crowd_and_those_let_in_are_the_oldest(
    steps: list[int],
) -> None:
    """Each step: so many come; then the oldest two are answered, 0.1 s later."""
    shedder: LoadShedder[int] = LoadShedder(_LIMITS)
    under_way: dict[int, None] = {}
    names = count()
    for number, come in enumerate(steps):
        now_s = number / 10
        for _ in range(come):
            if shedder.refuses(now_s):
                assert len(under_way) >= _LIMITS.least_texts
                continue
            name = next(names)
            under_way[name] = None
            given_up = shedder.enter(name, now_s)
            assert given_up == list(under_way)[len(under_way) - len(given_up) :]
            for one in given_up:
                shedder.leave(one, answered=False)
                del under_way[one]
            assert len(under_way) <= _CROWD
        for name in list(under_way)[:2]:
            shedder.leave(name, answered=True)
            del under_way[name]


@pytest.mark.parametrize("per_s", [40, 100, 300, 1_000, 4_000])
def test_a_replica_of_four_that_stands_still_shuts_the_door_to_nobody(per_s: int) -> None:
    """After two seconds a quarter of the texts is never answered, the others within 20 ms."""
    shedder: LoadShedder[int] = LoadShedder(ShedLimits(crowd_s=0.25, least_texts=32))
    answered: deque[int] = deque()
    for number in range(20 * per_s):
        now_s = 10 + number / per_s
        while answered and now_s - answered[0] / per_s >= 10.02:
            shedder.leave(answered.popleft(), answered=True)
        assert not shedder.refuses(now_s)
        assert shedder.enter(number, now_s) == []
        if number % 4 or number < 2 * per_s:
            answered.append(number)


def test_who_is_no_longer_counted_may_leave_all_the_same() -> None:
    shedder = _crowded(_CROWD)
    for number in range(100, 100 + _CROWD):
        assert shedder.enter(number, 5.0) == []
    for number in (*range(_CROWD), *range(100, 100 + _CROWD)):
        shedder.leave(number, answered=True)


def test_overload_is_over_once_nobody_has_come_for_a_while() -> None:
    shedder = _overloaded()
    assert shedder.refuses(0.5)
    shedder.look(3_600.0)
    assert not shedder.overloaded


_PER_S = 1_000


def _simulate(arrivals_s: list[float]) -> tuple[list[float], int]:
    """A server that answers one text a millisecond, in order.

    Returns:
        The waits of those that were answered, and how many were refused.
    """
    shedder: LoadShedder[int] = LoadShedder(ShedLimits(crowd_s=0.25, least_texts=32))
    queue: dict[int, float] = {}
    waits_s: list[float] = []
    refused = 0
    free_s = 0.0
    for number, now_s in enumerate([*arrivals_s, math.inf]):
        while queue and (done_s := max(free_s, next(iter(queue.values()))) + 1 / _PER_S) <= now_s:
            first = next(iter(queue))
            waits_s.append(done_s - queue.pop(first))
            shedder.leave(first, answered=True)
            free_s = done_s
        if now_s == math.inf:
            break
        if shedder.refuses(now_s):
            refused += 1
            continue
        queue[number] = now_s
        for one in shedder.enter(number, now_s):
            del queue[one]
            shedder.leave(one, answered=False)
            refused += 1
    return waits_s, refused


def test_at_three_times_the_load_all_the_work_is_done_and_nobody_waits_long() -> None:
    waits_s, _ = _simulate([number / (3 * _PER_S) for number in range(5 * 3 * _PER_S)])
    assert len(waits_s) >= 0.99 * 5 * _PER_S
    waits_s.sort()
    assert waits_s[len(waits_s) // 2] <= 33 / _PER_S
    # Those who came before it was noticed waited for longer, and they are few.
    assert waits_s[int(0.99 * len(waits_s))] <= 0.08


def test_a_load_that_can_be_answered_is() -> None:
    waits_s, refused = _simulate([number / (0.95 * _PER_S) for number in range(5_000)])
    assert refused == 0
    assert len(waits_s) == 5_000


def test_after_overload_all_are_let_in_again_within_two_seconds() -> None:
    over = [number / (3 * _PER_S) for number in range(3 * _PER_S)]
    after = [over[-1] + 2 + number / (0.8 * _PER_S) for number in range(2_000)]
    between = [over[-1] + number / (0.8 * _PER_S) for number in range(1_600)]
    arrivals = [*over, *between, *after]
    assert all(earlier <= later for earlier, later in pairwise(arrivals))
    _, refused_without = _simulate([*over, *between])
    _, refused_with = _simulate(arrivals)
    assert refused_with == refused_without
