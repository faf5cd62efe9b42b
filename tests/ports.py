"""Where processes of tests can listen: ports for later, perhaps again and again; families."""

import itertools
import os

from nerve.ports import Listener, PortTaken, find_free

_HOST = "127.0.0.1"
# Below those that an outgoing connection is given (from 32768 on Linux, from 49152 elsewhere): a
# port from among them is taken by some neighbour's connection between the choice and the start.
_FIRST, _OF_ONE = 12_000, 2_000
# pytest-xdist numbers its processes, which run at the same time: gw0, gw1.
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0")  # noqa: TID251 - no setting of ours
_OWN = _FIRST + _OF_ONE * (int(_WORKER.removeprefix("gw")) % 10)
_next = itertools.cycle(range(_OWN, _OWN + _OF_ONE))


def free_port() -> int:
    """A port on which nobody listens, which no other test of this run is given soon."""
    for _ in range(_OF_ONE):
        try:
            (found,) = find_free(Listener(_HOST, next(_next), ""))
        except PortTaken:
            continue
        return found.port
    raise AssertionError(f"all ports from {_OWN} to {_OWN + _OF_ONE - 1} are taken")


def has_ipv6() -> bool:
    """Whether this machine has a loopback of IPv6."""
    try:
        find_free(Listener("::1", 0, ""))
    except PortTaken:
        return False
    return True
