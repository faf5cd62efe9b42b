"""How the cores are shared."""

import weakref
from pathlib import Path

import numpy as np
import pytest

from inference import calibration
from inference.calibration import (
    Split,
    Trial,
    choose,
    chosen_split,
    compared,
    splits,
    table,
    try_splits,
)
from inference.repository import Repository
from inference.runtime import Session
from inference.settings import Settings
from tests.tiny_model import LABELS


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        (1, [(1, 1)]),
        (2, [(2, 1), (1, 2)]),
        (6, [(6, 1), (3, 2), (2, 3), (1, 6)]),
        (7, [(7, 1), (1, 7)]),
        (64, [(64, 1), (32, 2), (16, 4), (8, 8)]),
    ],
)
def test_every_split_uses_every_core(cores: int, expected: list[tuple[int, int]]) -> None:
    assert splits(cores) == [Split(*pair) for pair in expected]


@pytest.mark.parametrize(
    ("workers", "threads", "expected"),
    [(3, 2, (3, 2)), (3, 0, (3, 2)), (16, 0, (16, 1)), (0, 4, (2, 4)), (0, 16, (1, 16))],
)
def test_what_is_set_by_hand_is_taken(
    workers: int, threads: int, expected: tuple[int, int]
) -> None:
    assert splits(8, workers, threads) == [Split(*expected)]


def test_the_most_sentences_win() -> None:
    trials = [Trial(Split(2, 1), 1_000, 4.0), Trial(Split(1, 2), 800, 2.5)]
    assert choose(trials) == Split(2, 1)


def test_of_two_as_good_the_quicker_alone_wins() -> None:
    trials = [Trial(Split(2, 1), 1_000, 4.0), Trial(Split(1, 2), 980, 2.5)]
    assert choose(trials) == Split(1, 2)


def test_each_split_is_tried_with_its_workers_and_threads(repository_folder: Path) -> None:
    session = Session.load(repository_folder / "tiny" / "1" / "model.onnx", 1, len(LABELS))
    candidates = [Split(2, 1), Split(1, 2)]
    asked: list[int] = []

    def with_threads(threads: int) -> Session:
        asked.append(threads)
        return session.with_threads(threads)

    sentence = np.array([2, 4, 5, 3], dtype=np.int64)
    trials = try_splits(candidates, with_threads, sentence, budget_s=0.06)
    assert asked == [1, 2]
    assert [trial.split for trial in trials] == candidates
    assert all(trial.sentences_per_s > 0 and trial.alone_ms > 0 for trial in trials)
    assert "<- chosen" in table(trials, choose(trials))


def test_two_sessions_are_held_at_a_time(repository_folder: Path) -> None:
    session = Session.load(repository_folder / "tiny" / "1" / "model.onnx", 1, len(LABELS))
    made: list[weakref.ref[Session]] = []
    held: list[int] = []

    def with_threads(threads: int) -> Session:
        held.append(sum(one() is not None for one in made))
        another = session.with_threads(threads)
        made.append(weakref.ref(another))
        return another

    candidates = [Split(4, 1), Split(2, 2), Split(1, 4)]
    trials = try_splits(candidates, with_threads, np.array([2, 4, 5, 3]), budget_s=0.06)
    assert [trial.split for trial in trials] == candidates
    assert held == [0, 1, 1]
    assert made[0]() is session  # it has so many threads


def test_a_trial_beside_which_the_first_split_was_disturbed_is_no_worse() -> None:
    best = Trial(Split(2, 1), 1_000, 4.0)
    disturbed = Trial(Split(2, 1), 500, 8.0)
    assert compared(best, disturbed, Trial(Split(1, 2), 400, 5.0)) == Trial(Split(1, 2), 800, 2.5)


def test_nothing_is_run_where_there_is_no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository without a model could not be calibrated."""
    empty = Repository([], "")
    assert chosen_split(Settings(workers=3, threads_per_worker=2), empty) == Split(3, 2)
    monkeypatch.setattr(calibration, "usable_cores", lambda: 1)
    assert chosen_split(Settings(), empty) == Split(1, 1)


def test_two_cores_are_measured(repository_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "usable_cores", lambda: 2)
    repository = Repository.load(repository_folder, "", 128, threads=1)
    assert chosen_split(Settings(), repository) in (Split(2, 1), Split(1, 2))


def test_the_command_prints_the_trials(
    repository_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INFERENCE_MODELS_DIR", str(repository_folder))
    monkeypatch.setenv("INFERENCE_WORKERS", "1")
    monkeypatch.setenv("INFERENCE_THREADS_PER_WORKER", "1")
    calibration.main()
    shown = capsys.readouterr().out
    assert "sentences/s" in shown
    assert "INFERENCE_WORKERS=1 INFERENCE_THREADS_PER_WORKER=1" in shown


def test_ctrl_c_ends_the_command_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> Settings:
        raise KeyboardInterrupt

    monkeypatch.setattr(calibration, "read_settings", interrupted)
    with pytest.raises(SystemExit) as caught:
        calibration.main()
    assert caught.value.code == 130


def test_a_missing_repository_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INFERENCE_MODELS_DIR", str(tmp_path / "none"))
    with pytest.raises(SystemExit) as caught:
        calibration.main()
    assert caught.value.code == 2
    assert "INFERENCE_MODELS_DIR" in capsys.readouterr().err
