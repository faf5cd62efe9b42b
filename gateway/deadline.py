"""The instant at which a request is given up."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """One instant for all that a request waits for: what a step takes, the next does not have.

    Attributes:
        at_s: the instant, on the clock.
        clock: monotonic seconds.
    """

    at_s: float
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def after(cls, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> "Deadline":
        """The deadline of a request that waits for so many seconds from now on."""
        return cls(clock() + timeout_s, clock)

    @property
    def left_s(self) -> float:
        """Seconds that are left; 0 once it has passed."""
        return max(0.0, self.at_s - self.clock())
