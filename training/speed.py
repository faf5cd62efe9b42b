"""Speed: how many tokens a second models score, measured side by side."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.runtime import Session
from training.data import LABELS
from training.recognition import Scorer, pad

_SEED = 20240607
_UNIFORM_SENTENCES, _UNIFORM_TOKENS = 32, 24  # a full batch of sentences of the usual length
_MIXED_ROWS = 512
_MIXED_BATCH = 16
# The fastest of some rounds counts: whatever else a machine does only slows a round down.
MEASURED_S = 6.0
# The first also warms up.
_FEWEST_ROUNDS = 2
# Where a session's weights come to lie in memory, and so in the caches, moves its speed by a tenth.
_LOADS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The input of one run of a model."""

    ids: NDArray[np.int64]  # int64 [batch, tokens]
    mask: NDArray[np.int64]  # int64 [batch, tokens], 0 for padding

    @property
    def tokens(self) -> int:
        """Tokens that are not padding."""
        return int(self.mask.sum())


def uniform_batches(
    rows: Sequence[NDArray[np.int64]],
    sentences: int = _UNIFORM_SENTENCES,
    tokens: int = _UNIFORM_TOKENS,
) -> list[Batch]:
    """One batch of sentences of equal length.

    Args:
        rows: token ids, int64 [tokens] each, that fill it.
        sentences: in the batch.
        tokens: in each.
    """
    ids = np.resize(np.concatenate(rows), (sentences, tokens))
    return [Batch(ids, np.ones_like(ids))]


def mixed_batches(rows: Sequence[NDArray[np.int64]]) -> list[Batch]:
    """Batches of a sample of sentences, sorted by length as the service forms them.

    Args:
        rows: token ids, int64 [tokens] each.
    """
    return _batches(sorted(_sample(rows), key=len), _MIXED_BATCH)


def unsorted_batches(rows: Sequence[NDArray[np.int64]]) -> list[Batch]:
    """The same sample in batches as it comes, a third of them padding.

    Args:
        rows: token ids, int64 [tokens] each.
    """
    return _batches(_sample(rows), _MIXED_BATCH)


def single_batches(rows: Sequence[NDArray[np.int64]]) -> list[Batch]:
    """The same sample, each sentence alone.

    Args:
        rows: token ids, int64 [tokens] each.
    """
    return _batches(_sample(rows), 1)


def tokens_per_s(
    scorers: Sequence[Scorer], batches: Sequence[Batch], measured_s: float
) -> list[float]:
    """Measures models in turns, so that a slow moment of the machine meets all of them.

    Args:
        scorers: the models.
        batches: run one after the other; their padding does not count.
        measured_s: how long each model is run in all.

    Returns:
        Tokens a second of each model, in order.
    """
    fastest_s = [float("inf")] * len(scorers)
    rounds, deadline_s = 0, time.perf_counter() + measured_s * len(scorers)
    while rounds < _FEWEST_ROUNDS or time.perf_counter() < deadline_s:
        rounds += 1
        for i, scorer in enumerate(scorers):
            fastest_s[i] = min(fastest_s[i], _duration_s(scorer, batches))
    tokens = sum(batch.tokens for batch in batches)
    return [tokens / duration_s for duration_s in fastest_s]


def fastest_tokens_per_s(
    files: Sequence[Path], batches: Sequence[Batch], measured_s: float
) -> list[float]:
    """Measures files as `tokens_per_s` does models, on one core, in the fastest of some loads.

    Args:
        files: ONNX files.
        batches: as there.
        measured_s: how long each file is run, in all of its loads.

    Returns:
        Tokens a second of each file, in order.
    """
    speeds = [0.0] * len(files)
    for _ in range(_LOADS):
        sessions = [Session.load(file, 1, len(LABELS)) for file in files]
        loaded = tokens_per_s(sessions, batches, measured_s / _LOADS)
        speeds = [max(pair) for pair in zip(speeds, loaded, strict=True)]
    return speeds


def _sample(rows: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    rng = random.Random(_SEED)  # noqa: S311 - keeps no secret
    return rng.sample(rows, min(len(rows), _MIXED_ROWS))


def _batches(rows: Sequence[NDArray[np.int64]], size: int) -> list[Batch]:
    return [Batch(*pad(rows[i : i + size])) for i in range(0, len(rows), size)]


def _duration_s(scorer: Scorer, batches: Sequence[Batch]) -> float:
    started_ns = time.perf_counter_ns()
    for batch in batches:
        scorer.run(batch.ids, batch.mask)
    return (time.perf_counter_ns() - started_ns) / 1e9
