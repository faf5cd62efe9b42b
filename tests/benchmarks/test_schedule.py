"""When calls are meant to be sent."""

import numpy as np

from benchmarks.schedule import ClosedLoop, OpenLoop, poisson_arrivals


def test_in_a_closed_loop_whoever_is_free_sends_until_the_end() -> None:
    loop = ClosedLoop(end_ns=10)
    assert [loop.next(now_ns) for now_ns in (3, 3, 9)] == [3, 3, 9]
    assert not loop.over(9)
    assert loop.over(10)
    assert loop.next(10) is None


def test_a_closed_loop_may_end_after_some_calls() -> None:
    loop = ClosedLoop(end_ns=10, calls=2)
    assert [loop.next(1) for _ in range(3)] == [1, 1, None]
    assert loop.over(1)


def test_in_an_open_loop_a_late_call_keeps_the_instant_that_was_meant_for_it() -> None:
    loop = OpenLoop([10, 20, 30])
    assert loop.next(9) is None
    assert loop.wake_ns() == 10
    assert [loop.next(25), loop.next(25), loop.next(25)] == [10, 20, None]
    assert not loop.over(25)
    assert loop.next(30) == 30
    assert loop.over(30)
    assert loop.wake_ns() is None


def test_arrivals_are_those_of_independent_callers() -> None:
    """Their distances are exponential: the mean is the inverse rate, and so is the deviation."""
    arrivals = poisson_arrivals(0, 100_000_000_000, 200, seed=1)
    distances_ms = np.diff(arrivals) / 1e6
    assert 4.8 <= distances_ms.mean() <= 5.2
    assert 4.6 <= distances_ms.std() <= 5.4
    assert arrivals == poisson_arrivals(0, 100_000_000_000, 200, seed=1)
    assert arrivals[-1] < 100_000_000_000
