"""How many processor cores this process may use."""

import math
import os
from pathlib import Path

_CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """Cores of this process: its affinity, bounded by its cgroup's quota.

    A container with two cores on a host with 64 sees 64; threads sized from that fight each other.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limit = _CGROUP_LIMIT.read_text() if _CGROUP_LIMIT.exists() else ""
    return cores_within(affinity or 1, limit)


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
