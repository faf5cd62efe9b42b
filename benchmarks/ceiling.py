"""The raw ceiling: the same model on the same cores, in process, without a server.

Tokenize, run, decode; sorted by length, so that almost nothing is padding; the best of the ways to
share the cores. No server can be faster than this with this model; all figures are ratios to it.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inference.cores import usable_cores
from inference.repository import Model, Repository

_BATCHES = (1, 8, 32)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The best that the cores did."""

    sentences_per_s: float
    workers: int
    threads_per_worker: int
    batch: int
    alone_p50_ms: float  # one sentence at a time on one thread, tokenized and decoded


def measure(models: Path, sentences: Sequence[str]) -> Ceiling:
    """Runs the sentences in every setting and keeps the best.

    Args:
        models: the model repository.
        sentences: the corpus.
    """
    cores = usable_cores()
    best: tuple[float, int, int, int] = (0, 0, 0, 0)
    alone_ms = 0.0
    for workers in sorted({1, cores}):
        threads = cores // workers
        model = Repository.load(models, "", window_tokens=512, threads=threads).get("", "")
        if threads == 1:
            alone_ms = _alone_ms(model, sentences)
        for batch in _BATCHES:
            started = time.perf_counter()
            _run_all(model, sentences, workers, batch)
            rate = len(sentences) / (time.perf_counter() - started)
            best = max(best, (rate, workers, threads, batch))
    return Ceiling(*best, alone_ms)


def _run_all(model: Model, sentences: Sequence[str], workers: int, batch: int) -> None:
    texts = [model.tokenizer.tokenize(sentence) for sentence in sentences]
    texts.sort(key=lambda text: text.tokens)

    def run(start: int) -> None:
        chosen = texts[start : start + batch]
        rows = [text.windows[0].ids for text in chosen]
        ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        logits = model.session.run(ids, mask)
        for i, text in enumerate(chosen):
            model.decoder.decode(text, [logits[i, : len(rows[i])]])

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(run, range(0, len(texts), batch)))


def _alone_ms(model: Model, sentences: Sequence[str]) -> float:
    times = []
    for sentence in sentences[:200]:
        started = time.perf_counter_ns()
        text = model.tokenizer.tokenize(sentence)
        ids = text.windows[0].ids[None, :]
        model.decoder.decode(text, [model.session.run(ids, np.ones_like(ids))[0]])
        times.append(time.perf_counter_ns() - started)
    return float(np.median(times)) / 1e6
