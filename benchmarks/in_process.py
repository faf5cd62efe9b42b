"""The model without a server: tokenize, run, decode in this process, as fast as threads can."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, perf_counter_ns, process_time
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.repository import Model, Repository

# Tokenizing and decoding are handed out in pieces of so many texts: a piece is some milliseconds.
_PIECE = 32

_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Batching:
    """How windows of near-equal length are put together; exactly one of the two is set."""

    rows: int | None = None  # windows in a batch
    padded_tokens: int | None = None  # rows times the longest of them

    def batches(self, lengths: Sequence[int]) -> list[range]:
        """Cuts windows into batches.

        Args:
            lengths: tokens of each window, ascending.
        """
        batches: list[range] = []
        start = 0
        for end in range(1, len(lengths) + 1):
            if end == len(lengths) or self._is_full(end - start, lengths[end]):
                batches.append(range(start, end))
                start = end
        return batches

    def _is_full(self, rows: int, next_length: int) -> bool:
        if self.padded_tokens is not None:
            return (rows + 1) * next_length > self.padded_tokens
        return rows == self.rows

    def __str__(self) -> str:
        """For a table."""
        return f"{self.rows} rows" if self.rows else f"{self.padded_tokens} padded tokens"


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a corpus was answered."""

    texts_per_s: float
    cpu_s_per_1000: float  # processor seconds, of all threads


class InProcess:
    """A model in this process, its runs using a number of threads each.

    Args:
        model: the model.
        workers: texts that are worked on at the same time.
    """

    def __init__(self, model: Model, workers: int) -> None:
        self._model = model
        self._workers = workers

    @classmethod
    def load(cls, models: Path, window_tokens: int, workers: int, threads: int) -> Self:
        """Loads the default model of a repository.

        Args:
            models: the repository.
            window_tokens: longest window of a long text, as the service has it.
            workers: concurrent runs.
            threads: cores that one run uses.
        """
        repository = Repository.load(models, "", window_tokens=window_tokens, threads=threads)
        return cls(repository.get("", ""), workers)

    @property
    def name(self) -> str:
        """The model and its version, as `ner-en/12`."""
        return f"{self._model.name}/{self._model.version}"

    def run(self, texts: Sequence[str], batching: Batching) -> Speed:
        """Answers all texts, their windows sorted by length, and tells how fast."""
        started_s, cpu_s = perf_counter(), process_time()
        with ThreadPoolExecutor(self._workers) as pool:
            tokenized = _in_pieces(pool, self._model.tokenizer.tokenize, texts)
            windows = [window.ids for text in tokenized for window in text.windows]
            order = sorted(range(len(windows)), key=lambda i: len(windows[i]))
            logits: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(windows)

            def run(batch: range) -> None:
                chosen = [order[i] for i in batch]
                scores = self._run([windows[i] for i in chosen])
                for row, i in zip(scores, chosen, strict=True):
                    logits[i] = row[: len(windows[i])]

            # The longest last would leave the other workers idle at the end.
            batches = batching.batches([len(windows[i]) for i in order])
            list(pool.map(run, reversed(batches)))
            firsts = np.cumsum([0, *(len(text.windows) for text in tokenized)]).tolist()

            def decode(i: int) -> None:
                self._model.decoder.decode(tokenized[i], logits[firsts[i] : firsts[i + 1]])

            _in_pieces(pool, decode, range(len(tokenized)))
        return Speed(
            len(texts) / (perf_counter() - started_s), (process_time() - cpu_s) * 1_000 / len(texts)
        )

    def alone_p50_ms(self, texts: Sequence[str]) -> float:
        """The median time of a text when there is nothing else to do."""
        times_ns = []
        for text in texts:
            started_ns = perf_counter_ns()
            tokenized = self._model.tokenizer.tokenize(text)
            logits = [self._run([window.ids])[0] for window in tokenized.windows]
            self._model.decoder.decode(tokenized, logits)
            times_ns.append(perf_counter_ns() - started_ns)
        return float(np.median(times_ns)) / 1e6

    def _run(self, rows: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        """Scores windows together, float32 [rows, longest, labels]."""
        ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        logits: NDArray[np.float32] = self._model.session.run(ids, mask)
        return logits


def _in_pieces(pool: ThreadPoolExecutor, work: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
    pieces = [items[at : at + _PIECE] for at in range(0, len(items), _PIECE)]
    done = pool.map(lambda piece: [work(item) for item in piece], pieces)
    return [result for piece in done for result in piece]
