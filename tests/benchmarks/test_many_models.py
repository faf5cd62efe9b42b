"""The times of hits and misses, summed up."""

import pytest

from benchmarks.many_models import Times


@pytest.mark.parametrize("took_ms", [[3.0], [10.0, 20.0], [float(ms) for ms in range(1, 51)]])
def test_no_call_is_said_to_have_taken_longer_than_any_did(took_ms: list[float]) -> None:
    """Misses are few: a p99 beyond them would be a guess."""
    times = Times.of(took_ms)
    assert times.calls == len(took_ms)
    assert min(took_ms) <= times.p50_ms <= times.p99_ms <= max(took_ms)


def test_where_there_was_no_call_there_is_no_time() -> None:
    assert Times.of([]) == Times(0, 0.0, 0.0)
