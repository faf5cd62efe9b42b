"""The study: trials in a SQLite file, which outlives the command that runs them."""

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState

_NAME = "search"
_STORAGE_FILE = "study.db"
_LOCK_FILE = "study.lock"
_TRIAL_PREFIX = "trial-"
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
# No trial is cut short before as many have come as far: a median of fewer says little.
_TRIALS_BEFORE_PRUNING = 4
# SQLite has one writer at a time.
_LOCK_TIMEOUT_S = 60


class SearchRefused(Exception):
    """The study cannot be gone on with, or found nothing; the message says what to change."""


@contextmanager
def open_study(folder: Path) -> Iterator[optuna.Study]:
    """The study in a folder, made where there is none.

    Args:
        folder: the study's.
    """
    storage = RDBStorage(
        f"sqlite:///{(folder / _STORAGE_FILE).resolve()}",
        engine_kwargs={"connect_args": {"timeout": _LOCK_TIMEOUT_S}},
    )
    try:
        if not optuna.get_all_study_names(storage):
            optuna.create_study(storage=storage, study_name=_NAME, direction="maximize")
        yield optuna.load_study(storage=storage, study_name=_NAME, pruner=new_pruner())
    finally:
        storage.remove_session()
        storage.engine.dispose()


def new_pruner() -> optuna.pruners.MedianPruner:
    """Ends the trials that are below the median of those that have come as far."""
    return optuna.pruners.MedianPruner(
        n_startup_trials=_TRIALS_BEFORE_PRUNING, n_min_trials=_TRIALS_BEFORE_PRUNING
    )


@contextmanager
def worked_on(folder: Path) -> Iterator[None]:
    """Keeps other commands from a study, in which they would end each other's trials.

    Args:
        folder: the study's.

    Raises:
        SearchRefused: one works on it.
    """
    with (folder / _LOCK_FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until the file is closed
        except BlockingIOError as error:
            raise SearchRefused(
                f"{folder}: another command works on it: --workers N runs trials side by side"
            ) from error
        yield


def check_same(study: optuna.Study, folder: Path, conditions: Mapping[str, object]) -> None:
    """Results can be compared only if what is not varied stays the same.

    Args:
        study: keeps the conditions of its first command.
        folder: the study's, for the message.
        conditions: of this command, by name; as JSON can write them.

    Raises:
        SearchRefused: they are not those of the first.
    """
    for name, condition in conditions.items():
        written = json.loads(json.dumps(condition))
        known = study.user_attrs.get(name)
        if known is None:
            study.set_user_attr(name, written)
        elif known != written:
            raise SearchRefused(
                f"{folder}: was begun with another {name}: take that, or another --study"
            )


def clear_interrupted(study: optuna.Study, folder: Path) -> None:
    """Ends the trials that a command left running when it was stopped.

    Args:
        study: that no other command works on.
        folder: the study's.
    """
    for left in folder.glob(f"{_TRIAL_PREFIX}*"):
        shutil.rmtree(left)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)


def trial_folder(folder: Path) -> TemporaryDirectory[str]:
    """A folder for a trial's model, removed at its end.

    Args:
        folder: the study's.
    """
    return TemporaryDirectory(dir=folder, prefix=_TRIAL_PREFIX)


def count_finished(study: optuna.Study) -> int:
    """Trials that came to a value or were ended early."""
    return len(study.get_trials(deepcopy=False, states=_FINISHED))


def values(study: optuna.Study) -> dict[int, float]:
    """The value of each trial that was not ended early, by its number."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return {trial.number: trial.value for trial in complete if trial.value is not None}
