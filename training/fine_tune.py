"""Fine-tuning: a pretrained encoder learns to label names."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tqdm import tqdm

from training.course import new_course
from training.data import Corpus
from training.device import device_of
from training.recipe import Recipe
from training.run import Run
from training.training_state import check_unstarted, read_state

__all__ = ["EpochReport", "Recipe", "Run", "StopTraining", "fine_tune"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What an epoch came to."""

    epoch: int  # from 1
    step: int  # training steps done
    metrics: dict[str, float]  # "loss"; in percent "mean_f1" of the dev sets and "f1.SET" of each


class StopTraining(Exception):
    """Raised by `on_epoch`: the run ends here, with what it has learned."""


def ignore(_: EpochReport) -> None:
    """No one wants to know."""


def fine_tune(
    recipe: Recipe,
    corpora: Sequence[Corpus],
    dev: Sequence[Corpus],
    run: Run,
    on_epoch: Callable[[EpochReport], None] = ignore,
) -> None:
    """Trains a model.

    The folder gets the model after each epoch; with patience, only after one that is the best so
    far. A run that was interrupted and goes on ends in the same weights, bit for bit, as one that
    was not.

    The state stays in the folder, of a run that has learned all as well, so that what is done with
    the model can be repeated: whoever has done it removes the state.

    Args:
        recipe: the settings.
        corpora: what to learn.
        dev: what to measure after each epoch; never learned.
        run: where the run is kept.
        on_epoch: is told of each epoch; ends the run early by raising `StopTraining`.

    Raises:
        FileNotFoundError: there is no such encoder.
        EncoderInvalid: its tokenizer is not an uncased WordPiece.
        CheckpointInvalid: the folder to begin with, or a teacher's, is not a checkpoint.
        DataInvalid: nobody says what is in a set of bare text.
        StateInvalid: there is no state to go on from, or it is of other settings or data; or a new
            run would begin where an unfinished one lies.
        TrainingInterrupted: `run.interrupted` said so.
    """
    if run.state_steps and not run.resume:
        check_unstarted(run.folder)
    course = new_course(replace(recipe, device=device_of(recipe).type), corpora, dev, run)
    if run.resume:
        course.go_on(read_state(run.folder))
    step = course.position.step
    with tqdm(total=course.steps, initial=step, unit="step", mininterval=5.0) as progress:
        while not course.is_over():
            epoch = course.position.epoch
            metrics = course.learn_epoch(progress.update)
            try:
                on_epoch(EpochReport(epoch, course.position.step, metrics))
            except StopTraining:
                _log.info("ended after epoch %d of %d", epoch, recipe.epochs)
                break
            course.keep_state()
