"""How the cores are shared: how many model runs at a time, and how many threads each of them.

The answer differs between processors and models, so it is measured at start, for one or two
seconds, unless a setting says it. `python -m inference.calibration` (and `python -m nerve tune`)
prints what it tried.
"""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from inference.cores import usable_cores
from inference.entry import Runnable
from inference.errors import ModelInvalid
from inference.model_supply import supply_of
from inference.repository import Repository
from inference.settings import Settings, SettingsInvalid, read_settings
from telemetry import logs

if TYPE_CHECKING:
    from inference.runtime import Session

_log = logs.get_logger(__name__)

# 8 rows of some 24 tokens: what a busy service runs (news sentences have 20 to 30 tokens).
_SENTENCE = "Angela Merkel met Tim Cook of Apple in Seoul, and nobody knew what to make of it."
_BATCH = 8
# Long enough for some ten runs of a small model in each round, short enough for every start.
_BUDGET_S = 1.2
# Best of five: a neighbour on the machine disturbs some of them, seldom all.
_ROUNDS = 5
_MOST_THREADS = 8  # a run of a few hundred tokens has no work for more
# Below this a difference is noise, and the split that answers a lone caller sooner is taken.
_AS_GOOD = 0.97
_NS_PER_MS = 1e6
_EXIT_USAGE = 2
_EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


@dataclass(frozen=True, slots=True)
class Split:
    """A way to share the cores."""

    workers: int  # concurrent model runs
    threads: int  # cores of each


@dataclass(frozen=True, slots=True)
class Trial:
    """What a split did."""

    split: Split
    sentences_per_s: float  # all workers together, batches of 8
    alone_ms: float  # one sentence on an idle machine, the shortest run


def splits(cores: int, workers: int = 0, threads: int = 0) -> list[Split]:
    """The splits worth a trial.

    Args:
        cores: of this process; at least 1.
        workers: set by hand; 0: not set.
        threads: set by hand; 0: not set.

    Returns:
        The one that is set by hand, or those that leave no core idle, one thread a run first.
    """
    if workers:
        return [Split(workers, threads or max(1, cores // workers))]
    if threads:
        return [Split(max(1, cores // threads), threads)]
    most = min(cores, _MOST_THREADS)
    return [Split(cores // n, n) for n in range(1, most + 1) if cores % n == 0]


def choose(trials: Sequence[Trial]) -> Split:
    """The split with the most sentences a second; of those as good, the quickest alone."""
    most = max(trial.sentences_per_s for trial in trials)
    good = [trial for trial in trials if trial.sentences_per_s >= _AS_GOOD * most]
    return min(good, key=lambda trial: trial.alone_ms).split


def try_splits(
    candidates: Sequence[Split],
    session: Callable[[int], Runnable],
    sentence: NDArray[np.int64],
    budget_s: float = _BUDGET_S,
) -> list[Trial]:
    """Runs sentences in every split, each in turns with the first, by which all are compared.

    Two sessions are held at a time, for each is as large as the model.

    Args:
        candidates: the splits.
        session: makes the model's session whose runs use so many threads.
        sentence: int64 [tokens].
        budget_s: time for all trials, in seconds; loading the sessions comes on top, and so does
            running the first split again from the third on.
    """
    slice_s = budget_s / (_ROUNDS * len(candidates))
    first, *others = candidates
    its = session(first.threads)
    if not others:
        return _in_turns([(first, its)], sentence, slice_s)
    pairs = [
        _in_turns([(first, its), (split, session(split.threads))], sentence, slice_s)
        for split in others
    ]
    best = Trial(
        first,
        max(beside.sentences_per_s for beside, _ in pairs),
        min(beside.alone_ms for beside, _ in pairs),
    )
    return [best, *(compared(best, *pair) for pair in pairs)]


def compared(best: Trial, first: Trial, trial: Trial) -> Trial:
    """A trial as it would be, had the split beside which it was run done its best.

    Args:
        best: the most that the first split did beside any.
        first: what the first split did beside this one.
        trial: this one.
    """
    return Trial(
        trial.split,
        trial.sentences_per_s * best.sentences_per_s / first.sentences_per_s,
        trial.alone_ms * best.alone_ms / first.alone_ms,
    )


def chosen_split(settings: Settings, repository: Repository) -> Split:
    """The split to serve with: set by hand, the only one there is, or the best of a calibration.

    Args:
        settings: of the service.
        repository: its default model is run.
    """
    candidates = splits(usable_cores(), settings.workers, settings.threads_per_worker)
    if len(candidates) == 1:
        return candidates[0]
    trials = _trials(candidates, repository)
    split = choose(trials)
    _log.info("calibrated", workers=split.workers, threads_per_worker=split.threads)
    return split


def table(trials: Sequence[Trial], chosen: Split) -> str:
    """The trials as lines of text."""
    lines = ["workers  threads each  sentences/s  alone ms"]
    for trial in trials:
        split, mark = trial.split, "  <- chosen" if trial.split == chosen else ""
        lines.append(
            f"{split.workers:7}  {split.threads:12}  {trial.sentences_per_s:11.0f}"
            f"  {trial.alone_ms:8.2f}{mark}"
        )
    return "\n".join(lines)


def main() -> None:
    """Prints what the service would try at start, and what it would take; Ctrl-C ends it."""
    logs.configure("warning")
    try:
        _print_trials()
    except KeyboardInterrupt:
        sys.exit(_EXIT_INTERRUPTED)


def _print_trials() -> None:
    try:
        settings = read_settings()
        repository = supply_of(settings, threads=1).open()
    except (SettingsInvalid, ModelInvalid) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_EXIT_USAGE)
    candidates = splits(usable_cores(), settings.workers, settings.threads_per_worker)
    trials = _trials(candidates, repository)
    split = choose(trials)
    sys.stdout.write(
        f"{table(trials, split)}\n"
        f"to fix it: INFERENCE_WORKERS={split.workers}"
        f" INFERENCE_THREADS_PER_WORKER={split.threads}\n"
    )


def _trials(candidates: Sequence[Split], repository: Repository) -> list[Trial]:
    model = repository.get("", "")
    # A repository's models run on sessions; only tests put something else in their place.
    session = cast("Session", model.session)
    sentence = model.tokenizer.tokenize(_SENTENCE).windows[0].ids
    return try_splits(candidates, session.with_threads, sentence)


def _in_turns(
    sessions: Sequence[tuple[Split, Runnable]], sentence: NDArray[np.int64], slice_s: float
) -> list[Trial]:
    """What each of them does, a slice at a time, so that a neighbour disturbs all of them."""
    batch = np.tile(sentence, (_BATCH, 1))
    rates = [0.0] * len(sessions)
    alone_ns = [sys.maxsize] * len(sessions)
    for _ in range(_ROUNDS):
        for i, (split, its) in enumerate(sessions):
            alone_ns[i] = min(alone_ns[i], _alone_ns(its, sentence[None]))
            rates[i] = max(rates[i], _rate(its, batch, split.workers, slice_s))
    return [
        Trial(split, rate, ns / _NS_PER_MS)
        for (split, _), rate, ns in zip(sessions, rates, alone_ns, strict=True)
    ]


def _alone_ns(session: Runnable, ids: NDArray[np.int64]) -> int:
    started_ns = time.perf_counter_ns()
    session.run(ids, np.ones_like(ids))
    return time.perf_counter_ns() - started_ns


def _rate(session: Runnable, batch: NDArray[np.int64], workers: int, slice_s: float) -> float:
    """Sentences a second of so many workers; the threads have ended when it returns."""
    mask = np.ones_like(batch)
    done = [0] * workers
    started = time.perf_counter()

    def work(worker: int) -> None:
        while time.perf_counter() - started < slice_s:
            session.run(batch, mask)
            done[worker] += len(batch)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
