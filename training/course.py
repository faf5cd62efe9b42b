"""The course: the epochs of a run, from wherever it is to its end."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean

import torch
from tokenizers import Tokenizer

from inference.decoding import Decoder
from training.answers import Answers, AnswersInvalid
from training.batches import count_batches, epoch_batches
from training.beginning import Beginning, beginning_of
from training.checkpoint import (
    CheckpointInvalid,
    TrainedOn,
    TrainingRecord,
    load_record,
    save,
    vocabulary_of,
)
from training.conditions import conditions
from training.data import LABELS, Corpus, DataInvalid
from training.early_stopping import BestEpoch
from training.evaluation import evaluate
from training.learner import Learner, new_learner
from training.network import (
    Network,
    TorchScorer,
    check_length,
    joins_words,
    passage_tokens,
    set_dropout,
)
from training.reading import serving_tokenizer
from training.recipe import Recipe, RecipeInvalid
from training.recognition import Recognizer
from training.run import Run, TrainingInterrupted
from training.threads import keep_to
from training.training_state import (
    Position,
    TrainingState,
    check_conditions,
    random_state,
    restore_random_state,
    write_state,
)
from training.word_borders import word_borders

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Course:
    """A run as it goes on."""

    recipe: Recipe
    corpora: Sequence[Corpus]
    dev: Sequence[Corpus]
    run: Run
    beginning: Beginning
    learner: Learner
    answers: Answers | None
    conditions: dict[str, str]  # what the run is of: it goes on under the same only
    steps: int  # of all epochs
    started_s: float  # on the monotonic clock; earlier, if the run went on from a state
    position: Position = field(default_factory=Position)
    best: BestEpoch = field(default_factory=BestEpoch)

    def is_over(self) -> bool:
        """Whether nothing more is learned."""
        last = self.position.epoch - 1
        return last >= self.recipe.epochs or self.best.ends(last, self.recipe.patience)

    def learn_epoch(self, on_step: Callable[[], object]) -> dict[str, float]:
        """Learns the rest of an epoch, measures what came of it and writes the model.

        Args:
            on_step: called after each step.

        Returns:
            "loss"; in percent "mean_f1" of the dev sets and "f1.SET" of each.

        Raises:
            TrainingInterrupted: someone asked to stop.
        """
        epoch = self.position.epoch
        tokenizer = self.beginning.tokenizer
        batches = epoch_batches(
            self.corpora,
            tokenizer,
            self.recipe,
            epoch,
            joined_words=joins_words(self.learner.network),
        )
        for batch in batches[self.position.batches :]:
            self.position = self.position.after_step(self.learner.learn(batch, self.position.step))
            on_step()
            self._keep_state_after_step()
        loss = self.position.loss / len(batches)
        self.position = self.position.after_epoch()
        _log.info("epoch %d of %d: loss %.4f", epoch, self.recipe.epochs, loss)
        with self.learner.finished():
            metrics = _dev_metrics(self.learner.network, tokenizer, self.dev)
            self.best = self.best.after(epoch, metrics.get("mean_f1", 0.0))
            if not self.recipe.patience or self.best.epoch == epoch:
                save(self.run.folder, self.learner.network, tokenizer, self._record(epoch))
        return {"loss": loss} | metrics

    def keep_state(self) -> None:
        """Writes the state, if it is wanted.

        Raises:
            TrainingInterrupted: someone asked to stop.
        """
        if self.run.state_steps:
            state = TrainingState(
                self.conditions,
                self.position,
                self.best,
                time.monotonic() - self.started_s,
                self.run.run_id,
                self.learner.state_dict(),
                random_state(),
            )
            write_state(self.run.folder, state)
        if self.run.interrupted():
            kept = "its state is written" if self.run.state_steps else "it keeps no state"
            raise TrainingInterrupted(f"step {self.position.step} of {self.steps}; {kept}")

    def go_on(self, state: TrainingState) -> None:
        """Goes back to where a run stopped.

        Args:
            state: what was written then.

        Raises:
            StateInvalid: it is of other settings or data.
        """
        check_conditions(state.conditions, self.conditions)
        self.learner.load_state_dict(state.parts)
        restore_random_state(state.random)
        self.position = state.position
        self.best = state.best
        self.started_s -= state.elapsed_s

    def _keep_state_after_step(self) -> None:
        due = self.run.state_steps and self.position.step % self.run.state_steps == 0
        if due or self.run.interrupted():
            self.keep_state()

    def _record(self, epoch: int) -> TrainingRecord:
        learned = tuple(
            TrainedOn(
                c.source.name,
                c.source.licence,
                c.sha256,
                len(c.examples),
                c.revision,
                c.source.title,
            )
            for c in self.corpora
        )
        return TrainingRecord(
            encoder=self.beginning.encoder,
            encoder_licence=self.beginning.encoder_licence,
            encoder_sha256=self.beginning.encoder_sha256,
            data=self.beginning.learned(learned),
            seed=self.recipe.seed,
            epochs=epoch,
            learning_rate=self.recipe.learning_rate,
            batch_size=self.recipe.batch_size,
            precision="bfloat16" if self.recipe.bfloat16 else "float32",
            steps=self.position.step,
            duration_s=round(time.monotonic() - self.started_s, 1),
            commit=self.run.commit,
            command=self.run.command,
            run_id=self.run.run_id,
            average_decay=self.recipe.average_decay,
            patience=self.recipe.patience,
            device=self.recipe.device,
            teachers=self._teachers(),
            begun_with=self.beginning.command,
            begun_with_sha256=self.beginning.weights_sha256 if self.beginning.trained else "",
        )

    def _teachers(self) -> tuple[str, ...]:
        if self.answers:
            return self.answers.teachers
        return tuple(load_record(Path(folder)).command for folder in self.recipe.teachers)


def new_course(
    recipe: Recipe, corpora: Sequence[Corpus], dev: Sequence[Corpus], run: Run
) -> Course:
    """A run at its first step.

    Args:
        recipe: the settings, with a device.
        corpora: what to learn.
        dev: what to measure after each epoch.
        run: where the run is kept.

    Raises:
        FileNotFoundError: there is no such encoder.
        EncoderInvalid: its tokenizer is not an uncased WordPiece, or it reads no texts so long.
        CheckpointInvalid: the folder to begin with, or a teacher's, is not a checkpoint, or a
            teacher reads other tokens.
        DataInvalid: nobody says what is in a set of bare text.
        AnswersInvalid: the answers are of other tokens, or to other texts.
        RecipeInvalid: the model is to read longer passages than it learns.
    """
    started_s = time.monotonic()
    answers = Answers.load(*map(Path, recipe.answers)) if recipe.answers else None
    corpora = answers.beside(corpora) if answers else corpora
    _check_taught(recipe, corpora)
    torch.manual_seed(recipe.seed)
    keep_to(recipe.threads)
    beginning = beginning_of(recipe)
    check_length(beginning.network, recipe.most_tokens)
    set_dropout(beginning.network, recipe.dropout)
    vocabulary = vocabulary_of(beginning.tokenizer)
    _check_fit(answers, recipe, vocabulary)
    _settle_words(beginning.network, corpora)
    _settle_windows(beginning.network, recipe)
    steps = sum(count_batches(corpora, recipe, epoch) for epoch in range(1, recipe.epochs + 1))
    learner = new_learner(beginning.network, recipe, steps)
    if learner.teachers and learner.teachers.vocabulary != vocabulary:
        raise CheckpointInvalid(
            f"{', '.join(recipe.teachers)}: read other tokens than this encoder: only teachers of"
            " its vocabulary can be asked"
        )
    return Course(
        recipe,
        corpora,
        dev,
        run,
        beginning,
        learner,
        answers,
        {
            **{name: str(value) for name, value in asdict(recipe).items()},
            **conditions(
                recipe, beginning.weights_sha256, answers.sha256 if answers else "", corpora, dev
            ),
        },
        steps,
        started_s,
    )


def _settle_words(network: Network, corpora: Sequence[Corpus]) -> None:
    """Tells a network what words its annotators saw; what says nothing leaves it as it was."""
    borders = word_borders(corpora)
    if borders.joined is not None:
        network.config.joined_words = borders.joined
    ends = "ends none" if joins_words(network) else "ends it"
    _log.info("%s: such a sign %s", borders, ends)


def _settle_windows(network: Network, recipe: Recipe) -> None:
    """Tells a network how long its windows of passages are; they must be learned whole."""
    if recipe.passage_tokens:
        check_length(network, recipe.passage_tokens, "--passage-tokens")
        network.config.passage_tokens = recipe.passage_tokens
    if passage_tokens(network) > recipe.most_tokens:
        raise RecipeInvalid(
            f"--most-tokens {recipe.most_tokens}: the model is to read passages of"
            f" {passage_tokens(network)} tokens: learn texts as long, or give fewer"
            " --passage-tokens"
        )


def _check_fit(answers: Answers | None, recipe: Recipe, vocabulary: str) -> None:
    """Refuses answers of other tokens than the encoder's, or without the features to be learned."""
    if answers and answers.vocabulary != vocabulary:
        raise AnswersInvalid(
            f"{', '.join(recipe.answers)}: answers about other tokens than this encoder's: ask"
            " teachers of its vocabulary"
        )
    if recipe.features_share and not (answers and answers.features):
        raise AnswersInvalid(
            "--features-share: there are no features in --answers: ask a teacher with --features"
        )


def _check_taught(recipe: Recipe, corpora: Sequence[Corpus]) -> None:
    bare = [corpus for corpus in corpora if corpus.source.is_bare_text]
    if bare and not recipe.teachers and not recipe.answers:
        raise DataInvalid(
            f"{', '.join(c.source.name for c in bare)}: labels nothing, so that only teachers can"
            " say what is in it: add --teachers or --answers, or choose other --sets"
        )
    if recipe.answers:
        _check_answered(recipe, corpora)


def _check_answered(recipe: Recipe, corpora: Sequence[Corpus]) -> None:
    """Answers belong to texts as they were asked about: others are learned without a word of it."""
    answered = {c.source.name: sum(bool(e.answers) for e in c.examples) for c in corpora}
    for corpus in corpora:
        name = corpus.source.name
        _log.info("%s: %d of %d texts answered", name, answered[name], len(corpus.examples))
    if not any(answered.values()):
        raise AnswersInvalid(
            f"{', '.join(recipe.answers)}: no answer to any text of {', '.join(answered)}: ask"
            " teachers about these sets as they are now"
        )
    for corpus in (corpus for corpus in corpora if corpus.source.is_bare_text):
        unasked = [example for example in corpus.examples if not example.answers]
        if unasked:
            raise DataInvalid(
                f"{unasked[0].place}: no answer to this text in {', '.join(recipe.answers)}, nor to"
                f" {len(unasked) - 1} more of {corpus.source.name}: ask about this set as well"
            )


def _dev_metrics(network: Network, tokenizer: Tokenizer, dev: Sequence[Corpus]) -> dict[str, float]:
    recognizer = Recognizer(
        serving_tokenizer(tokenizer, network),
        TorchScorer(network),
        Decoder(LABELS),
    )
    f1 = {corpus.source.name: evaluate(recognizer, corpus).f1 for corpus in dev}
    for name, figure in f1.items():
        _log.info("%s dev: F1 %.2f", name, figure)
    mean = {"mean_f1": fmean(f1.values())} if f1 else {}
    return mean | {f"f1.{name}": figure for name, figure in f1.items()}
