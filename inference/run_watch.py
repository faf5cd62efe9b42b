"""Which workers hang in a run: a decision without threads; time is an argument.

A run hangs when it has lasted a large multiple of what it was predicted to take, and some seconds.
Both, because a prediction of a millisecond may err by much, and a slow model's run may take long.

Time in which nobody looked does not count: a process that was stopped, or a machine that slept,
has runs that seem to have lasted for hours when it goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

# Predictions err by less than two (docs/adr/0007), pauses of a busy machine by less than ten.
_MULTIPLE = 20


@dataclass(slots=True, eq=False)
class _Run:
    """One run that is under way."""

    began_ns: int
    limit_ns: float  # from here on it hangs
    seen_ns: int = 0  # that it has lasted while somebody looked


class RunWatch:
    """The runs under way, by worker.

    Workers begin and end their own runs, one thread looks: each touches only what is its own, so
    nothing is locked.

    Args:
        least_ns: no run hangs before it has lasted so long.
        look_ns: about how often somebody looks.
    """

    def __init__(self, least_ns: int, look_ns: int) -> None:
        self._least_ns = least_ns
        # A look that comes late by less than itself is the machine's business.
        self._most_gap_ns = 2 * look_ns
        self._looked_ns: int | None = None
        self._runs: dict[int, _Run] = {}

    def begin(self, worker: int, predicted_ns: float, now_ns: int) -> None:
        """A worker begins a run."""
        limit_ns = max(self._least_ns, _MULTIPLE * predicted_ns)
        self._runs[worker] = _Run(now_ns, limit_ns)

    def end(self, worker: int) -> None:
        """The worker's run has ended, well or not."""
        self._runs.pop(worker, None)

    def hanging(self, now_ns: int) -> int:
        """How many workers hang."""
        before_ns, self._looked_ns = self._looked_ns, now_ns
        gap_ns = 0 if before_ns is None else min(now_ns - before_ns, self._most_gap_ns)
        hanging = 0
        for run in list(self._runs.values()):
            run.seen_ns += min(gap_ns, now_ns - run.began_ns)
            hanging += run.seen_ns >= run.limit_ns
        return hanging
