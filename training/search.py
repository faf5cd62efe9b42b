"""Search: trials of recipes, in one process or several."""

import logging
import multiprocessing  # noqa: TID251 - workers are spawned, and no gRPC is here
import os
import signal
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed  # noqa: TID251 - as above
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from training.answers import sha256_of
from training.beginning import beginning_sha256
from training.best_recipe import BestRecipe, write_best
from training.conditions import conditions
from training.data import Corpus
from training.data_folder import check_labelled, find_sets, read_dev_corpora, read_training_corpora
from training.fine_tune import fine_tune
from training.recipe import Recipe
from training.run import Run, TrainingInterrupted
from training.search_space import SearchSpace
from training.study import (
    SearchRefused,
    check_same,
    clear_interrupted,
    count_finished,
    open_study,
    trial_folder,
    values,
    worked_on,
)
from training.study_plots import write_plots
from training.trial_reports import Reports
from training.trial_table import write_trials

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Search:
    """What to search, and where it is kept."""

    data: Path  # folder of the labelled sets
    folder: Path  # the study's
    space: SearchSpace
    base: Recipe  # of what the space leaves alone; threads are of one worker
    sets: tuple[str, ...] = ()  # empty: whatever is there
    drop_duplicates: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search came to."""

    finished: int  # trials in the study, those ended early included
    values: dict[int, float]  # mean dev F1 of each that was not, in percent
    best: BestRecipe
    best_file: Path
    files: tuple[Path, ...]  # the best recipe, the table of the trials, and the plots


@dataclass(frozen=True, slots=True)
class _Sets:
    trained: list[Corpus]
    measured: list[Corpus]


def run_search(search: Search, trials: int, workers: int) -> Outcome:
    """Runs trials until the study holds as many, and writes its best recipe and plots.

    Started again after an interruption, it goes on.

    Args:
        search: what to search.
        trials: finished trials in the end, those of earlier commands included; at least 1.
        workers: processes; at least 1.

    Raises:
        SearchRefused: the study is of another search, another command works on it, or no trial was
            finished.
        DataInvalid: as `check_labelled`, `read_training_corpora` and `read_dev_corpora`.
        FileNotFoundError: there is no such encoder, teacher or file of answers.
        TrainingInterrupted: by Ctrl-C.
    """
    sets = _read(search)
    search.folder.mkdir(parents=True, exist_ok=True)
    with worked_on(search.folder):
        with open_study(search.folder) as study:
            check_same(study, search.folder, _conditions(search, sets))
            clear_interrupted(study, search.folder)
            todo = trials - count_finished(study)
            started = len(study.trials)
        try:
            _run(search, [share for share in _shares(todo, workers) if share], started)
        except KeyboardInterrupt as interruption:
            raise TrainingInterrupted(
                f"{search.folder}: the same command goes on after the trials that ended"
            ) from interruption
        with open_study(search.folder) as study:
            return _outcome(study, search)


def _read(search: Search) -> _Sets:
    sources = find_sets(search.data, search.sets)
    check_labelled(sources)
    return _Sets(
        read_training_corpora(search.data, sources, drop_duplicates=search.drop_duplicates),
        read_dev_corpora(search.data, sources),
    )


def _conditions(search: Search, sets: _Sets) -> dict[str, object]:
    """All that a trial's value depends on, but for the machine."""
    base = search.base
    return {
        "space": repr(search.space),
        "recipe": asdict(base) | {"threads": 0, "device": ""},
        # Of all splits: what follows names each, and of one more nothing would be known before.
        "data": [corpus.sha256 for corpus in (*sets.trained, *sets.measured)],
        **conditions(
            base,
            beginning_sha256(base),
            sha256_of(map(Path, base.answers)),
            sets.trained,
            sets.measured,
        ),
    }


def _shares(total: int, workers: int) -> list[int]:
    """Near-equal parts of a number; none is below zero."""
    part, rest = divmod(max(0, total), workers)
    return [part + (i < rest) for i in range(workers)]


def _run(search: Search, shares: list[int], started: int) -> None:
    if len(shares) <= 1:
        for share in shares:
            _work(search, share, started)
        return
    # Not forked: the parent's threads would not come along, their locks would.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(len(shares), context, _log_epochs) as pool:
        running = [pool.submit(_work, search, share, started + i) for i, share in enumerate(shares)]
        try:
            for future in as_completed(running):
                future.result()
        except BaseException:
            # Else the pool waits for all trials of the other workers.
            _end(set(multiprocessing.active_children()) - others)
            raise


def _log_epochs() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")


def _end(workers: Iterable[multiprocessing.process.BaseProcess]) -> None:
    """As Ctrl-C does, after which a worker leaves nothing behind."""
    for worker in workers:
        if worker.pid is not None:
            os.kill(worker.pid, signal.SIGINT)


def _work(search: Search, trials: int, draw: int) -> None:
    """Runs trials, one after another.

    Args:
        search: what to search.
        trials: how many.
        draw: sets the random state of the sampler beside the recipe's seed.
    """
    sets = _read(search)

    def objective(trial: optuna.Trial) -> float:
        recipe = search.space.suggest(trial, search.base)
        reports = Reports(trial, recipe)
        with trial_folder(search.folder) as folder:
            run = Run(Path(folder), "", None)
            fine_tune(recipe, sets.trained, sets.measured, run, reports.take)
        if reports.pruned:
            raise optuna.TrialPruned
        return reports.value

    # Its own words for a trial end in a stack trace after Ctrl-C.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with open_study(search.folder) as study:
        study.sampler = optuna.samplers.TPESampler(seed=search.base.seed + draw)
        study.optimize(objective, n_trials=trials, callbacks=[_log_trial])


def _log_trial(_: optuna.Study, trial: FrozenTrial) -> None:
    if trial.state is TrialState.COMPLETE:
        came_to = f"mean dev F1 {trial.value:.2f}"
    else:
        came_to = "ended early"
    _log.info("trial %d: %s; %s", trial.number, came_to, trial.params)


def _outcome(study: optuna.Study, search: Search) -> Outcome:
    complete = values(study)
    if not complete:
        raise SearchRefused(f"{search.folder}: no trial was finished: raise --trials")
    trial = study.best_trial
    recipe = replace(search.base, **trial.params)
    best = BestRecipe(trial.number, complete[trial.number], recipe)
    best_file = write_best(best, search.folder)
    table = write_trials(study, search.folder)
    return Outcome(
        finished=count_finished(study),
        values=complete,
        best=best,
        best_file=best_file,
        files=(best_file, table, *write_plots(study, search.folder)),
    )
