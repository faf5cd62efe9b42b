"""How many cores the process may use."""

import pytest

from inference.cores import cores_within, usable_cores


@pytest.mark.parametrize(
    ("affinity", "cpu_max", "cores"),
    [
        (64, "200000 100000\n", 2),
        (64, "150000 100000\n", 2),
        (64, "50000 100000\n", 1),
        (2, "800000 100000\n", 2),
        (4, "max 100000\n", 4),
        (4, "", 4),
        (4, "nonsense", 4),
    ],
)
def test_the_cgroup_bounds_the_cores(affinity: int, cpu_max: str, cores: int) -> None:
    assert cores_within(affinity, cpu_max) == cores


def test_this_process_has_a_core() -> None:
    assert usable_cores() >= 1
