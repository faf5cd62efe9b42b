"""What the runs of a model cost on one core, fitted to runs of many shapes."""

import random
import time
from pathlib import Path

import numpy as np

from inference.cost_model import PRIOR, CostModel, Costs
from inference.entry import Runnable
from inference.repository import Repository

# AMD EPYC (Zen 5), one thread, `python -m benchmarks.scheduling measure`, 2026-11-24, rounded.
MEASURED: dict[str, Costs] = {
    # models/ner-en/1 at commit 9fd3990: padding costs what text does.
    "padded": PRIOR,
    # A graph of commit 43c5936, which leaves padding out of all but the attention. Measured beside
    # other work, so only the proportion counts: a token of padding at 0.18 of one of text.
    "unpadded": Costs(token_ns=51_000, padding_ns=9_000, sequence_ns=10_000, run_ns=1_270_000),
}
_ROWS = (1, 2, 4, 8, 16, 32)
_TOKENS = (8, 16, 24, 48, 96, 128)
_FILLS = (1.0, 0.75, 0.5)
_MOST_PADDED = 1024
_ROUNDS = 10


def measure(models: Path) -> None:
    """Runs each shape several times, in random order, and prints the fit.

    Args:
        models: the model repository; its default model is measured.
    """
    model = Repository.load(models, "", window_tokens=128, threads=1).get("", "")
    shapes = [
        (rows, tokens, fill)
        for rows in _ROWS
        for tokens in _TOKENS
        for fill in _FILLS
        if rows * tokens <= _MOST_PADDED and (rows > 1 or fill == 1.0)
    ]
    times_ns: dict[tuple[int, int, float], list[int]] = {shape: [] for shape in shapes}
    chance = random.Random(1)  # noqa: S311 - no secret
    for _ in range(_ROUNDS + 1):
        chance.shuffle(shapes)
        for shape in shapes:
            times_ns[shape].append(_run_ns(model.session, *shape))
    fit = CostModel()
    errors = []
    # Medians without the first round, seen often enough that the prior weighs nothing.
    medians = {shape: int(np.median(times[1:])) for shape, times in times_ns.items()}
    for shape, took_ns in list(medians.items()) * 4:
        fit.observe(*_tokens(*shape), took_ns)
    for shape, took_ns in medians.items():
        tokens, sequences, padding = _tokens(*shape)
        errors.append(abs(fit.costs.of(tokens, sequences, padding) / took_ns - 1))
    for (rows, longest, fill), took_ns in sorted(medians.items()):
        print(f"{rows:3} rows x {longest:3} tokens, filled {fill:.2f}: {took_ns / 1e6:6.2f} ms")
    print(fit.costs)
    print(f"error: mean {np.mean(errors):.1%}, largest {max(errors):.1%}")


def _tokens(rows: int, longest: int, fill: float) -> tuple[int, int, int]:
    """Tokens of text, rows, tokens of padding; the first row is full."""
    tokens = longest + (rows - 1) * int(longest * fill)
    return tokens, rows, rows * longest - tokens


def _run_ns(session: Runnable, rows: int, longest: int, fill: float) -> int:
    ids = np.full((rows, longest), 1037, dtype=np.int64)  # any word
    mask = np.ones_like(ids)
    mask[1:, int(longest * fill) :] = 0
    started_ns = time.perf_counter_ns()
    session.run(ids, mask)
    return time.perf_counter_ns() - started_ns
