"""How many processor cores this process may use."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
# Version 2 has one hierarchy, and numbers it 0: "0::/system.slice/nerve.service".
_VERSION_2 = "0::/"


def usable_cores(cgroups: Path = _CGROUPS, own: Path = _OWN_CGROUP) -> int:
    """Cores of this process: its affinity, bounded by the quotas of its cgroup and those above it.

    A container with two cores on a host with 64 sees 64; threads sized from that fight each other.

    Args:
        cgroups: where the hierarchy of cgroups v2 is mounted.
        own: says which of them is this process's.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = affinity or 1
    for path in _limits(cgroups, own):
        if path.is_file():
            cores = cores_within(cores, path.read_text())
    return cores


def cores_within(affinity: int, cpu_max: str) -> int:
    """Cores that a scheduler affinity and a cgroup quota leave.

    Args:
        affinity: cores that the scheduler may use; at least 1.
        cpu_max: content of a cgroup v2 `cpu.max`, "<quota> <period>" in microseconds or "max ...".

    Returns:
        At least 1; a part of a core counts as one.
    """
    quota, _, period = cpu_max.strip().partition(" ")
    if not (quota.isdigit() and period.isdigit() and int(period)):
        return affinity
    return max(1, min(affinity, math.ceil(int(quota) / int(period))))


def _limits(cgroups: Path, own: Path) -> Iterator[Path]:
    """Where quotas stand: a container sees its own at the top, a unit of systemd further down."""
    lines = own.read_text().splitlines() if own.exists() else []
    for line in lines:
        place = PurePosixPath(line.removeprefix(_VERSION_2))
        # Outside of what this process sees it is "/../…".
        if line.startswith(_VERSION_2) and ".." not in place.parts:
            yield from (cgroups / each / "cpu.max" for each in (place, *place.parents))
            return
    yield cgroups / "cpu.max"
