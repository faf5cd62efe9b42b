"""Runs on a tiny encoder."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from training.casing import EncoderInvalid
from training.checkpoint import load_record
from training.data import Corpus, Example, SourceSet, Span
from training.fine_tune import EpochReport, Recipe, Run, StopTraining, fine_tune
from training.run import TrainingInterrupted, never
from training.training_state import STATE_FILE, StateInvalid

SOURCE = SourceSet("tiny", "Tiny", "CC0-1.0")
FINISHED = {
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "casing.safetensors",
    "training.json",
}


def corpus(n_examples: int, sha256: str = "0" * 64) -> Corpus:
    examples = [
        Example(str(i), "Angela Merkel met Tim Cook" + " ." * i, (Span(0, 13, "PER"),))
        for i in range(n_examples)
    ]
    return Corpus(SOURCE, sha256, examples)


TRAIN, DEV = [corpus(20)], [corpus(3)]


@pytest.fixture
def recipe(encoder: Path) -> Recipe:
    """Some ten steps."""
    return Recipe(str(encoder), epochs=2, batch_size=4, learning_rate=1e-3, threads=1, device="cpu")


@dataclass
class AskedAfter:
    """Asks to stop from the so-manieth time that it is asked."""

    times: int

    def __call__(self) -> bool:
        self.times -= 1
        return self.times <= 0


def new_run(folder: Path, interrupted: Callable[[], bool] = never, *, resume: bool = False) -> Run:
    return Run(folder, "", None, state_steps=3, resume=resume, interrupted=interrupted)


def learn(recipe: Recipe, run: Run) -> list[EpochReport]:
    reports: list[EpochReport] = []
    fine_tune(recipe, TRAIN, DEV, run, reports.append)
    return reports


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_the_same_settings_give_the_same_numbers(recipe: Recipe, tmp_path: Path) -> None:
    assert learn(recipe, new_run(tmp_path / "a")) == learn(recipe, new_run(tmp_path / "b"))
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    learn(replace(recipe, seed=1), new_run(tmp_path / "c"))
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


@pytest.mark.parametrize("average_decay", [0.0, 0.9])
@pytest.mark.parametrize(("asked", "step"), [(1, 1), (4, 4), (5, 5), (6, 5), (7, 6)])
def test_a_run_that_stops_and_goes_on_ends_in_the_same_weights(
    recipe: Recipe, tmp_path: Path, asked: int, step: int, average_decay: float
) -> None:
    """Within an epoch, after its last step, once it is measured, and within the next."""
    recipe = replace(recipe, average_decay=average_decay)
    expected = learn(recipe, new_run(tmp_path / "whole"))
    folder = tmp_path / "stopped"
    with pytest.raises(TrainingInterrupted, match=f"step {step} of"):
        learn(recipe, new_run(folder, AskedAfter(asked)))
    torch.manual_seed(0)
    reports = learn(recipe, new_run(folder, resume=True))
    assert reports == expected[-len(reports) :]
    assert weights(folder) == weights(tmp_path / "whole")


def test_a_run_that_has_learned_all_keeps_its_state_and_learns_no_more(
    recipe: Recipe, run_folder: Path
) -> None:
    """What comes after can be done again without learning again."""
    learn(recipe, new_run(run_folder))
    assert {path.name for path in run_folder.iterdir()} == FINISHED | {STATE_FILE}
    assert load_record(run_folder).epochs == 2
    before = weights(run_folder)
    assert learn(recipe, new_run(run_folder, resume=True)) == []
    assert weights(run_folder) == before


def test_a_run_stops_after_its_last_epoch_too(recipe: Recipe, run_folder: Path) -> None:
    """Else what comes after it would go on, though someone asked to stop."""
    reports: list[EpochReport] = []
    run = new_run(run_folder, lambda: len(reports) == recipe.epochs)
    with pytest.raises(TrainingInterrupted, match=r"step (\d+) of \1; its state is written"):
        fine_tune(recipe, TRAIN, DEV, run, reports.append)
    assert learn(recipe, new_run(run_folder, resume=True)) == []


def test_a_run_goes_on_only_with_the_settings_and_the_data_it_was_begun_with(
    recipe: Recipe, run_folder: Path
) -> None:
    with pytest.raises(TrainingInterrupted):
        learn(recipe, new_run(run_folder, AskedAfter(2)))
    resumed = new_run(run_folder, resume=True)
    with pytest.raises(StateInvalid, match="begun otherwise: batch_size was 4, is 5; seed was"):
        learn(replace(recipe, batch_size=5, seed=1), resumed)
    with pytest.raises(StateInvalid, match="train split of tiny was 20 examples of 000"):
        fine_tune(recipe, [corpus(20, "1" * 64)], DEV, resumed)


def test_a_run_goes_on_only_if_its_labels_are_read_as_they_were(
    recipe: Recipe, run_folder: Path
) -> None:
    """The file is the same; what it says of its labels, or of its types, is not."""
    with pytest.raises(TrainingInterrupted):
        learn(recipe, new_run(run_folder, AskedAfter(2)))
    (before,) = TRAIN
    examples = [
        replace(example, unlabelled_types=frozenset({"ORG"})) for example in before.examples
    ]
    with pytest.raises(StateInvalid, match=r"train split of tiny was 20 .*, read as"):
        fine_tune(
            recipe, [replace(before, examples=examples)], DEV, new_run(run_folder, resume=True)
        )


def test_an_unfinished_run_is_not_overwritten(recipe: Recipe, run_folder: Path) -> None:
    with pytest.raises(TrainingInterrupted):
        learn(recipe, new_run(run_folder, AskedAfter(2)))
    before = (run_folder / STATE_FILE).read_bytes()
    with pytest.raises(StateInvalid, match="--resume"):
        learn(recipe, new_run(run_folder))
    assert (run_folder / STATE_FILE).read_bytes() == before


def test_a_run_without_states_stops_without_one(recipe: Recipe, run_folder: Path) -> None:
    run = replace(new_run(run_folder, AskedAfter(1)), state_steps=0)
    with pytest.raises(TrainingInterrupted, match="no state"):
        learn(recipe, run)
    assert not (run_folder / STATE_FILE).exists()


def test_whoever_is_told_of_an_epoch_may_end_the_run(recipe: Recipe, run_folder: Path) -> None:
    reports = []

    def stop(report: EpochReport) -> None:
        reports.append(report)
        raise StopTraining

    fine_tune(recipe, TRAIN, DEV, replace(new_run(run_folder), state_steps=0), stop)
    assert [report.epoch for report in reports] == [1]
    assert reports[0].metrics.keys() == {"loss", "mean_f1", "f1.tiny"}
    assert load_record(run_folder).epochs == 1
    assert {path.name for path in run_folder.iterdir()} == FINISHED


def test_with_patience_the_model_is_the_best_epochs(recipe: Recipe, run_folder: Path) -> None:
    """The rate is so low that the first epoch, which finds nothing, is never bettered."""
    patient = replace(recipe, epochs=6, patience=2, learning_rate=1e-9)
    reports = learn(patient, new_run(run_folder))
    assert [report.epoch for report in reports] == [1, 2, 3]
    assert load_record(run_folder).epochs == 1


def test_averaged_weights_are_what_is_measured_and_written(recipe: Recipe, tmp_path: Path) -> None:
    learn(recipe, new_run(tmp_path / "plain"))
    learn(replace(recipe, average_decay=0.9), new_run(tmp_path / "averaged"))
    assert weights(tmp_path / "plain") != weights(tmp_path / "averaged")
    assert load_record(tmp_path / "averaged").average_decay == 0.9


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_without_dropout_texts_are_always_read_alike(
    recipe: Recipe, run_folder: Path, dropout: float
) -> None:
    settings = replace(recipe, dropout=dropout, learning_rate=0.0, batch_size=20, passage_share=0.0)
    first, second = (report.metrics["loss"] for report in learn(settings, new_run(run_folder)))
    assert (first == pytest.approx(second, abs=1e-6)) == (not dropout)
    config = json.loads((run_folder / "config.json").read_text("utf-8"))
    assert config["hidden_dropout_prob"] == config["attention_probs_dropout_prob"] == dropout


def test_texts_longer_than_the_encoder_reads_are_refused_before_the_first_step(
    recipe: Recipe, run_folder: Path
) -> None:
    with pytest.raises(EncoderInvalid, match="--most-tokens 600: this encoder reads at most 512"):
        learn(replace(recipe, most_tokens=600), new_run(run_folder))
