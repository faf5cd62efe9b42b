"""What callers saw, summed up."""

import pytest

from benchmarks.caller import Ended
from benchmarks.protocol import LEFT, Call
from benchmarks.recorder import Load, Recorder

_MS = 1_000_000
_CALL = Call(b"", frozenset({200}), texts=2)


def _recorded(*times_ms: tuple[int, int], status: int = 200) -> Recorder:
    recorder = Recorder()
    for intended_ms, finished_ms in times_ms:
        recorder.record(Ended(_CALL, intended_ms * _MS, status), finished_ms * _MS)
    return recorder


def test_the_rate_is_of_what_ended_in_the_time() -> None:
    load = _recorded((0, 99), (50, 100), (60, 1_099), (90, 1_100)).load(100 * _MS, 1_100 * _MS, 0)
    assert load.calls == 2
    assert load.sentences == 4
    assert load.sentences_per_s == 4


def test_latency_is_of_what_was_meant_for_the_time_however_late_it_ended() -> None:
    load = _recorded((0, 150), (110, 5_110), (120, 5_120), (130, 140)).load(100 * _MS, 200 * _MS, 0)
    assert load.p50_ms == 5_000
    assert load.calls == 2


def test_a_wrong_status_is_counted_and_not_measured() -> None:
    recorder = _recorded((0, 10))
    recorder.record(Ended(_CALL, 0, 503), 5 * _MS)
    recorder.record(Ended(_CALL, 0, LEFT), 5 * _MS)
    load = recorder.load(0, 100 * _MS, 0)
    assert load.failures == {"503": 1}
    assert load.calls == 1
    assert load.total_calls == 3


def test_calls_that_take_longer_than_the_time_still_have_a_rate() -> None:
    load = _recorded((50, 300), (50, 400)).load(100 * _MS, 200 * _MS, 0)
    assert load.calls == 1
    assert load.sentences_per_s == pytest.approx(10, rel=0.01)
    assert load.p50_ms == 250


def test_nothing_but_failures_has_no_figures() -> None:
    with pytest.raises(ValueError, match="503"):
        _recorded((0, 10), status=503).load(0, 100 * _MS, 0)


def test_a_load_is_read_as_it_was_written() -> None:
    load = _recorded((0, 10)).load(0, 100 * _MS, 1.5)
    assert Load.of(load.as_dict() | {"event": "load"}) == load


@pytest.mark.parametrize("calls", [1_000, 5_000, 6_000, 50_000, 100_000])
def test_samples_are_few_and_from_all_over_the_run(calls: int) -> None:
    recorder = Recorder()
    for i in range(calls):
        if recorder.wants_sample():
            recorder.sample(_CALL, str(i).encode())
        recorder.record(Ended(_CALL, 0, 200), 1)
    looked_at = [int(body) for _, body in recorder.samples]
    apart = looked_at[1]
    assert apart % 101 == 0
    assert looked_at == list(range(0, calls, apart))
    assert len(looked_at) <= 50
