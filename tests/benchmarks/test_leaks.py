"""What counts as a leak."""

from dataclasses import replace

import pytest

from benchmarks.leaks import Holdings, grown, kept

_START = Holdings(threads=10, descriptors=20, calls_in_flight=0, tasks=3)


def test_coming_back_to_the_start_is_no_leak() -> None:
    assert kept("inference", _START, _START) == []
    assert kept("inference", _START, replace(_START, threads=12, descriptors=18)) == []


@pytest.mark.parametrize(
    ("end", "name"),
    [
        (replace(_START, threads=13), "threads"),
        (replace(_START, descriptors=21), "descriptors"),
        (replace(_START, calls_in_flight=1), "in flight"),
        (replace(_START, tasks=4), "tasks"),
    ],
)
def test_more_of_anything_is_a_leak(end: Holdings, name: str) -> None:
    (line,) = kept("gateway", _START, end)
    assert "gateway" in line
    assert name in line


def test_memory_that_stays_within_two_per_cent_is_flat() -> None:
    samples = [100.0] * 10 + [120.0] * 10 + [121.0] * 10 + [122.0] * 10
    assert grown({"inference": samples}) == []


def test_memory_that_grows_on_after_the_second_quarter_is_a_leak() -> None:
    samples = [100.0] * 10 + [120.0] * 10 + [121.0] * 10 + [123.0] * 10
    (line,) = grown({"gateway": [1.0] * 40, "inference": samples})
    assert "inference" in line


def test_memory_that_shrinks_is_no_leak() -> None:
    assert grown({"inference": [200.0] * 20 + [100.0] * 20}) == []
