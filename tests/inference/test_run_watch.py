"""Which workers hang in a run."""

from inference.run_watch import RunWatch

_S = 1_000_000_000
_LOOK_NS = _S // 4


def _look(watch: RunWatch, from_ns: int, to_ns: int) -> int:
    """Looks as often as promised; gives what the last look saw."""
    hanging = 0
    for now_ns in range(from_ns, to_ns + 1, _LOOK_NS):
        hanging = watch.hanging(now_ns)
    return hanging


def test_a_run_hangs_after_the_least_time_and_a_large_multiple_of_its_prediction() -> None:
    watch = RunWatch(10 * _S, _LOOK_NS)
    watch.begin(1, 0.002 * _S, 0)  # a sentence
    watch.begin(2, 1.0 * _S, 0)  # a slow model: 20 s are its due
    assert _look(watch, 0, 9 * _S) == 0
    assert _look(watch, 9 * _S, 10 * _S) == 1
    assert _look(watch, 10 * _S, 20 * _S) == 2


def test_a_run_that_ends_hangs_no_more() -> None:
    watch = RunWatch(_S, _LOOK_NS)
    watch.begin(1, 0, 0)
    assert _look(watch, 0, 2 * _S) == 1
    watch.end(1)
    assert watch.hanging(3 * _S) == 0
    watch.end(1)  # ending twice does no harm
    watch.begin(1, 0, 3 * _S)
    assert watch.hanging(3 * _S + _LOOK_NS) == 0


def test_time_in_which_nobody_looked_does_not_count() -> None:
    """A process that was stopped for an hour has no run that hangs when it goes on."""
    watch = RunWatch(10 * _S, _LOOK_NS)
    watch.begin(1, 0, 0)
    watch.hanging(0)
    assert watch.hanging(3_600 * _S) == 0
    assert _look(watch, 3_600 * _S, 3_605 * _S) == 0
    assert _look(watch, 3_605 * _S, 3_611 * _S) == 1, "what it does afterwards counts"


def test_a_run_counts_from_its_begin_not_from_the_look_before() -> None:
    watch = RunWatch(_LOOK_NS, _LOOK_NS)
    watch.hanging(0)
    watch.begin(1, 0, _LOOK_NS - 1)
    assert watch.hanging(_LOOK_NS) == 0
