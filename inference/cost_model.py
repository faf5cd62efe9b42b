"""What a model run costs, learned from the runs.

    time ≈ tokens · token + padding · padding_token + sequences · sequence + run

Tokens of text and padding have prices of their own: for most graphs they are equal, for one that
skips the padding it is nearly free, and the batches follow what is learned.

Source: least squares with exponential forgetting, as in recursive least squares (Ljung, System
Identification, 1999, chapter 11), but solved from the kept sums. The sums take a ridge towards the
prior, which RLS lacks: where the runs say nothing of a coefficient (never any padding, always the
same length) it stays at the prior's share and does not wander.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# What a run weighs for the next fit after one more run: some 200 runs, about two seconds of load.
_KEEP = 0.995
# Weight of the prior, in runs. Padding is a few per cent of most runs and counts squared: more
# prior than this, and its price would never be learned.
_PRIOR_RUNS = 0.01
# No price but that of padding falls below this share of the prior's, at the speed that was seen.
# On cores that others use too, long runs are interrupted more than short ones, and the price of a
# run would come out as nothing: then nobody would join anybody.
_LEAST_PRICE = 0.1
# From here on a run that takes a multiple of its prediction is a pause of the machine, not a price.
_SETTLED_RUNS = 20
_MOST_SURPRISE = 3.0
# So long after its last run a model's price refuses nobody. Only runs correct it, and were all
# calls refused for one that is too high, as after a pause of the machine, there would be none.
_FRESH_NS = 1_000_000_000
# While little is known every run is fitted at once, later only some: a fit takes 40 µs.
_FIT_EVERY = 8


@dataclass(frozen=True, slots=True)
class Costs:
    """Prices in nanoseconds of one worker; only that of padding may be none."""

    token_ns: float  # of a token of text
    padding_ns: float  # of a token of padding
    sequence_ns: float  # of a row
    run_ns: float  # of a run, whatever it holds

    def of(self, tokens: int, sequences: int = 1, padding: int = 0, runs: float = 1) -> float:
        """Predicted nanoseconds of so much work on one worker."""
        return (
            tokens * self.token_ns
            + padding * self.padding_ns
            + sequences * self.sequence_ns
            + runs * self.run_ns
        )

    @property
    def padding_price(self) -> float:
        """What a token of padding costs as a share of a token of text, in [0, 1]."""
        return min(1.0, self.padding_ns / self.token_ns)


# The shipped model (models/ner-en/1, MiniLM-L6 int8), one thread on a Zen 5 core (AMD EPYC),
# commit 9fd3990, 2026-11-24: `python -m benchmarks.scheduling measure`. A row's own price came out
# as none; a price that is nothing here could not be learned for another model.
PRIOR = Costs(token_ns=51_000, padding_ns=51_000, sequence_ns=10_000, run_ns=1_270_000)


class CostModel:
    """The costs of one model, fitted to its runs.

    Args:
        prior: where to start; a wrong speed is forgotten within some runs, wrong proportions later.
    """

    def __init__(self, prior: Costs = PRIOR) -> None:
        self.costs = prior
        self.runs = 0
        self.last_run_ns = 0  # when it began; its owner sets it
        self._prior = np.array(
            [prior.token_ns, prior.padding_ns, prior.sequence_ns, prior.run_ns], dtype=np.float64
        )
        # Sums over the runs, older ones weighing less, of a run's parts: the share that each price
        # has in the prior's prediction; and of its ratio: its time by that prediction.
        self._squares = np.zeros((4, 4))  # float64 [prices, prices], part by part
        self._products = np.zeros(4)  # float64 [prices], part by ratio
        self._ratios = self._weight = 0.0

    @property
    def settled(self) -> bool:
        """Whether there were enough runs to rely on a prediction."""
        return self.runs >= _SETTLED_RUNS

    def may_refuse(self, now_ns: int) -> bool:
        """Whether somebody may be refused on the strength of a prediction.

        Args:
            now_ns: the present, on the clock of `last_run_ns`.
        """
        return self.settled and now_ns - self.last_run_ns <= _FRESH_NS

    def observe(self, tokens: int, sequences: int, padding: int, took_ns: int) -> None:
        """Learns from a run.

        Args:
            tokens: of text; at least 1.
            sequences: rows; at least 1.
            padding: tokens of padding.
            took_ns: time on one worker.
        """
        if self.settled:
            took_ns = min(
                took_ns, int(_MOST_SURPRISE * self.costs.of(tokens, sequences, padding)) + 1
            )
        parts = self._prior * (tokens, padding, sequences, 1)
        predicted_ns = parts.sum()
        parts /= predicted_ns
        ratio = max(took_ns, 1) / predicted_ns
        self._squares *= _KEEP
        self._squares += np.multiply.outer(parts, parts)
        self._products *= _KEEP
        self._products += ratio * parts
        self._ratios = _KEEP * self._ratios + ratio
        self._weight = _KEEP * self._weight + 1
        self.runs += 1
        if self.runs <= _SETTLED_RUNS or self.runs % _FIT_EVERY == 0:
            # Work that is free would have no turn of its own; padding may be.
            least = _LEAST_PRICE * self._ratios / self._weight * np.array([1, 0, 1, 1])
            prices = self._prior * np.maximum(self._factors(), least)
            prices[1] = min(prices[1], prices[0])  # padding never costs more than text
            self.costs = Costs(*prices.tolist())

    def _factors(self) -> NDArray[np.float64]:
        """By what each price of the prior must be multiplied: float64 [prices], none negative."""
        # The ridge leads to the prior at the speed that was seen, not at its own.
        squares = self._squares + _PRIOR_RUNS * np.eye(4)
        products = self._products + _PRIOR_RUNS * self._ratios / self._weight
        factors = np.zeros(4)
        kept = np.arange(4)
        # A price below zero is set to zero and the others are fitted again. The ridge makes the
        # matrix positive definite, so not all can be negative: all products are positive.
        while len(kept):
            fitted = np.linalg.solve(squares[np.ix_(kept, kept)], products[kept])
            lowest = int(np.argmin(fitted))
            if fitted[lowest] >= 0:
                factors[kept] = fitted
                break
            kept = np.delete(kept, lowest)
        return factors
