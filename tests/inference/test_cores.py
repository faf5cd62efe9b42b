"""How many cores the process may use."""

from pathlib import Path

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


@pytest.mark.parametrize(
    ("own", "quotas", "cores"),
    [
        ("0::/", {"": "100000 100000"}, 1),
        ("0::/system.slice/nerve.service", {"system.slice/nerve.service": "100000 100000"}, 1),
        ("0::/a/b", {"a/b": "max 100000", "a": "100000 100000", "": "max 100000"}, 1),
        ("12:cpu:/x\n0::/a", {"a": "100000 100000"}, 1),
        ("0::/../b", {"": "100000 100000"}, 1),
        ("", {"": "100000 100000"}, 1),
        ("0::/a", {}, None),
    ],
)
def test_every_quota_above_the_process_counts(
    tmp_path: Path, own: str, quotas: dict[str, str], cores: int | None
) -> None:
    (tmp_path / "own").write_text(own + "\n")
    for place, quota in quotas.items():
        folder = tmp_path / "cgroups" / place
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cpu.max").write_text(quota + "\n")
    unbounded = usable_cores(tmp_path / "none", tmp_path / "none")
    found = usable_cores(tmp_path / "cgroups", tmp_path / "own")
    assert found == (cores or unbounded)


def test_this_process_has_a_core() -> None:
    assert usable_cores() >= 1
