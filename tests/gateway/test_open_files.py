"""Room for connections among the files that may be open."""

from resource import RLIM_INFINITY

import pytest

from gateway.open_files import fitting, needed, raised


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "chosen"),
    [
        (1024, 4096, 2000, 2000),
        (1024, 4096, 9000, 4096),
        (1024, 4096, 500, 1024),
        (1024, RLIM_INFINITY, 9000, 9000),
        (RLIM_INFINITY, RLIM_INFINITY, 9000, RLIM_INFINITY),
    ],
)
def test_the_limit_is_raised_as_far_as_needed_and_allowed(
    soft: int, hard: int, wanted: int, chosen: int
) -> None:
    assert raised(soft, hard, wanted) == chosen


@pytest.mark.parametrize(
    ("open_files", "connections", "chosen"),
    [
        (20_128, 20_000, 20_000),
        (RLIM_INFINITY, 20_000, 20_000),
        (1024, 20_000, 896),
        (100, 20_000, 50),
        (100, 10, 10),
        (1, 10, 1),
    ],
)
def test_connections_leave_a_reserve(open_files: int, connections: int, chosen: int) -> None:
    """Of 128 files, or half of them where that is less."""
    assert fitting(open_files, connections) == chosen


def test_what_is_needed_is_enough() -> None:
    for connections in (1, 100, 1000):
        assert fitting(needed(connections), connections) == connections
