"""How many files the process may have open: each connection is one."""

import resource
from contextlib import suppress
from typing import Final

# Beside connections: what is listened on and logged to, the loop, the channel to every replica of
# inference, Redis, an issuer, files of keys that are read again, and callers that are just refused.
_RESERVE: Final = 128


def make_room(connections: int) -> int:
    """Raise the limit of open files as far as connections need, and as the system lets.

    Args:
        connections: at one time.

    Returns:
        How many of them there is room for.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems allow less than their hard limit says.
    with suppress(OSError, ValueError, OverflowError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised(soft, hard, needed(connections)), hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return fitting(soft, connections)


def needed(connections: int) -> int:
    """Say how many open files there are with so many connections, at most."""
    return connections + _RESERVE


def fitting(open_files: int, connections: int) -> int:
    """Say for how many of these connections so many open files are enough.

    Args:
        open_files: at most; `resource.RLIM_INFINITY` is no limit.
        connections: at least 1.
    """
    if open_files == resource.RLIM_INFINITY:
        return connections
    reserve = min(_RESERVE, open_files // 2)
    return max(1, min(connections, open_files - reserve))


def raised(soft: int, hard: int, wanted: int) -> int:
    """Choose a new soft limit: no lower than the old one, and no higher than the hard one."""
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
