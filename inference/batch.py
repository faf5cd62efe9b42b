"""Windows that will be run together, and who may still join them.

A run costs something whatever it holds, so company is welcome; but a shorter or longer window
brings padding, which costs as well. One may join where its padding costs less than what it saves:
its share of the price of another run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.cost_model import Costs
    from inference.entry import Entry

# What a window saves by joining, as a share of a run's own price, if many others wait: what it
# would pay in a batch of three. From 0.25 to 0.4 the throughput is flat, at 1 and at 0.1 it falls
# by up to a twentieth (found with the simulator of benchmarks/scheduling).
_LEAST_SHARE = 1 / 3
# Padding that is free must still fit in memory: rows times length, as a multiple of the budget.
_MOST_PADDED = 4


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a batch may hold; its first window may be larger."""

    tokens: int  # padding counted at its price
    run_ns: float | None = None  # predicted time; none: any


class Batch:
    """A batch that grows around its first window.

    Args:
        first: the window; it need not fit.
        bounds: for the others.
        costs: of the model.
    """

    __slots__ = ("_bounds", "_costs", "_price", "entries", "longest", "tokens")

    def __init__(self, first: Entry, bounds: Bounds, costs: Costs) -> None:
        self.entries = [first]
        self.tokens = self.longest = first.tokens
        self._bounds = bounds
        self._costs = costs
        self._price = costs.padding_price

    @property
    def padding(self) -> int:
        """Tokens of padding."""
        return self.longest * len(self.entries) - self.tokens

    @property
    def run_ns(self) -> float:
        """Predicted time of the run, in nanoseconds."""
        return self._costs.of(self.tokens, len(self.entries), self.padding)

    def accepts(self, tokens: int, waiting: int) -> bool:
        """Whether a window may join.

        Args:
            tokens: its length.
            waiting: how many windows wait, this one among them: with whom it could run else.
        """
        bounds, costs = self._bounds, self._costs
        rows = len(self.entries) + 1
        text = self.tokens + tokens
        padding = max(self.longest, tokens) * rows - text
        if text + self._price * padding > bounds.tokens:
            return False
        if text + padding > _MOST_PADDED * bounds.tokens:
            return False
        if bounds.run_ns is not None and costs.of(text, rows, padding) > bounds.run_ns:
            return False
        saved_ns = costs.run_ns * max(_LEAST_SHARE, 1 / waiting)
        return (padding - self.padding) * costs.padding_ns <= saved_ns

    def join(self, entry: Entry) -> None:
        """Adds a window that was accepted."""
        self.entries.append(entry)
        self.tokens += entry.tokens
        self.longest = max(self.longest, entry.tokens)
