"""When calls are to be sent: decisions without a clock; time is an argument, in nanoseconds."""

import random
from collections.abc import Sequence
from typing import Protocol

_NS_PER_S = 1_000_000_000


class Schedule(Protocol):
    """Gives each call the instant at which it is meant to be sent."""

    def next(self, now_ns: int) -> int | None:
        """The instant meant for the next call, at most `now_ns`; none when none is due."""

    def wake_ns(self) -> int | None:
        """When the next call will be due; none if none will be without an answer before it."""

    def over(self, now_ns: int) -> bool:
        """Whether no call will be due any more."""


class ClosedLoop:
    """Whoever is free sends at once, until the end.

    Args:
        end_ns: when nobody sends any more.
        calls: how many are sent at most; none means no bound.
    """

    def __init__(self, end_ns: int, calls: int | None = None) -> None:
        self._end_ns = end_ns
        self._left = calls

    def next(self, now_ns: int) -> int | None:
        """Now, as long as the loop lasts."""
        if self.over(now_ns):
            return None
        if self._left is not None:
            self._left -= 1
        return now_ns

    def wake_ns(self) -> int | None:
        """None: only answers make callers free."""
        return None

    def over(self, now_ns: int) -> bool:
        """Whether the end has come."""
        return now_ns >= self._end_ns or self._left == 0


class OpenLoop:
    """Calls are due at instants of their own, whether the server keeps up or not.

    Args:
        arrivals_ns: the instants, ascending.
    """

    def __init__(self, arrivals_ns: Sequence[int]) -> None:
        self._arrivals_ns = arrivals_ns
        self._sent = 0

    def next(self, now_ns: int) -> int | None:
        """The earliest instant that has come and was not given yet."""
        wake_ns = self.wake_ns()
        if wake_ns is None or wake_ns > now_ns:
            return None
        self._sent += 1
        return wake_ns

    def wake_ns(self) -> int | None:
        """The earliest instant that was not given yet."""
        return self._arrivals_ns[self._sent] if self._sent < len(self._arrivals_ns) else None

    def over(self, now_ns: int) -> bool:
        """Whether all instants were given."""
        return self._sent == len(self._arrivals_ns)


def poisson_arrivals(start_ns: int, end_ns: int, rate_per_s: float, seed: int) -> list[int]:
    """Instants at which independent callers arrive: their distances are exponential.

    Args:
        start_ns: not before this.
        end_ns: before this.
        rate_per_s: mean arrivals a second.
        seed: the same seed gives the same distances.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    arrivals: list[int] = []
    at_ns = float(start_ns)
    while (at_ns := at_ns + chance.expovariate(rate_per_s) * _NS_PER_S) < end_ns:
        arrivals.append(int(at_ns))
    return arrivals
