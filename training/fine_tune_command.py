"""What the command `fine-tune` does: data to a model that is tracked."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from training.checkpoint import MODEL_FILES, CheckpointInvalid, check_vacant
from training.code_version import CodeVersion, code_version
from training.commands import Workplace, dev_corpora
from training.data import Corpus
from training.data_folder import check_labelled, read_training_corpora
from training.fine_tune import Recipe, Run, fine_tune, ignore
from training.interruption import Interruption
from training.run import TrainingInterrupted
from training.score_calibration import calibrate
from training.tracking import TrackedRun, TrackingFailed, TrackingStore, check_alias
from training.training_state import check_unstarted, read_state, remove_state

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FineTuning:
    """What to do beside learning."""

    command: str  # stands in the model's record
    name: str  # of the registered model
    alias: str  # that moves to this run
    store: Callable[[Path], TrackingStore] | None  # opens that of a folder; None: nothing is kept
    resume: bool
    state_steps: int  # between two states


def run_fine_tune(
    place: Workplace,
    recipe: Recipe,
    options: FineTuning,
    interruption: AbstractContextManager[Callable[[], bool]] | None = None,
) -> None:
    """Trains a model, and keeps its settings, figures and files in the tracking store.

    The state is removed last: until then, going on repeats whatever was not done.

    Args:
        place: gets the model in `run`; the store is beside that.
        recipe: the settings.
        options: what else to do.
        interruption: says after each step whether to stop; None: Ctrl-C does.

    Raises:
        CheckpointInvalid: the run would be written over a model.
        StateInvalid: an unfinished run lies there; or, to be gone on with, none of these settings.
        DataInvalid: as `check_labelled`, `read_training_corpora` and `read_dev_corpora`.
        TrackingFailed: the store does not answer, or would not take the name or the alias.
        TrainingInterrupted: someone asked to stop.
    """
    _check_run(place.run, recipe, resume=options.resume)
    sources = place.sources
    check_labelled(sources)
    trained = read_training_corpora(place.data, sources, drop_duplicates=place.drop_duplicates)
    measured = dev_corpora(place)
    version = code_version()
    with _tracked(place.run, recipe, trained, version, options) as tracked:
        with interruption or Interruption() as interrupted:
            run = Run(
                place.run,
                options.command,
                version.exact_commit,
                run_id=tracked.run_id if tracked else None,
                state_steps=options.state_steps,
                resume=options.resume,
                interrupted=interrupted,
            )
            fine_tune(recipe, trained, measured, run, tracked.log_epoch if tracked else ignore)
        _finish(place.run, measured, options, tracked)
    remove_state(place.run)


def _finish(
    run: Path, measured: Sequence[Corpus], options: FineTuning, tracked: TrackedRun | None
) -> None:
    """Calibrates the model and registers it; where that fails, says what is left to do."""
    try:
        _calibrate(run, measured)
        if tracked:
            tracked.log_model([run / name for name in MODEL_FILES], options.name, options.alias)
            print(f"run {tracked.run_id}: {options.name}@{options.alias}")
    except KeyboardInterrupt as stopped:
        kept = "its state is written" if options.state_steps else "it keeps no state"
        raise TrainingInterrupted(
            f"all is learned, what comes after is not done; {kept}"
        ) from stopped
    except TrackingFailed as error:
        if not options.state_steps:
            raise
        raise TrackingFailed(
            f"{error}; all is learned: the same command with --resume registers the model"
        ) from error


def _calibrate(run: Path, measured: Sequence[Corpus]) -> None:
    """Calibrates the model, or not at all: half of it would be done twice by `--resume`."""
    with Interruption() as interrupted:
        _log.info("%s", calibrate(run, measured))
    if interrupted():
        raise KeyboardInterrupt


def _check_run(run: Path, recipe: Recipe, *, resume: bool) -> None:
    """Refuses to write a model over another, above all over one that it learns from."""
    for folder in filter(None, (recipe.begin_with, *recipe.teachers)):
        if Path(folder).resolve() == run.resolve():
            raise CheckpointInvalid(
                f"{run}: the run would be written over a model that it learns from: name another"
                " folder with --run"
            )
    if not resume:
        check_unstarted(run)
        check_vacant(run)


def _tracked(
    run: Path,
    recipe: Recipe,
    trained: Sequence[Corpus],
    version: CodeVersion,
    options: FineTuning,
) -> AbstractContextManager[TrackedRun | None]:
    if not options.store:
        return nullcontext()
    store = options.store(run.absolute().parent)
    check_alias(options.alias)
    run_id = read_state(run).run_id if options.resume else None
    if run_id:
        return store.go_on(run_id)
    settings = {name: str(value) for name, value in asdict(recipe).items()}
    for corpus in trained:
        prefix = f"data.{corpus.source.name}"
        settings[f"{prefix}.sha256"] = corpus.sha256
        settings[f"{prefix}.revision"] = corpus.revision or "none"
        settings[f"{prefix}.examples"] = str(len(corpus.examples))
    # The name is MLflow's own: its pages show the commit.
    tags = {
        "mlflow.source.git.commit": version.commit or "unknown",
        "code_is_changed": str(version.is_changed).lower(),
        "command": options.command,
    }
    return store.begin(run.name, settings, tags)
