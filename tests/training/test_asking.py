"""Asking goes on where it was stopped, and loses nothing."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.test_answers import TEXTS, add_bare_set, corpus
from training.__main__ import main
from training.answers import Answers
from training.asking import Keeping, Question, ask
from training.checkpoint import WEIGHTS_FILE
from training.data import Answer
from training.run import TrainingInterrupted
from training.training_state import StateInvalid

# More than one batch of 4,096 tokens.
MANY = [f"Tim {number} of Apple " * 8 for number in range(300)]
FEATURED = Question(64, features=True)
_DEADLINE_S = 60


def after(batches: int) -> Callable[[], bool]:
    """Somebody who presses Ctrl-C during that batch."""
    asked = iter([False] * (batches - 1))
    return lambda: next(asked, True)


def check_same(answers: Mapping[bytes, Answer], expected: Mapping[bytes, Answer]) -> None:
    """Up to what another batch does to a half float."""
    assert answers.keys() == expected.keys()
    for digest, answer in answers.items():
        np.testing.assert_allclose(answer, expected[digest], atol=0.02)


@pytest.mark.parametrize("question", [Question(64), FEATURED])
def test_what_was_answered_before_ctrl_c_is_not_asked_again(
    question: Question, teachers: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "answers"
    keeping = Keeping(keep=lambda answers: answers.write(file), interrupted=after(batches=2))
    with pytest.raises(TrainingInterrupted, match=r"^\d+ of 300 texts are answered$"):
        ask([corpus(*MANY)], teachers[:1], question, keeping=keeping)
    kept = Answers.load(file)
    assert 0 < len(kept.by_digest) < len(MANY)
    # Marked, to be known again.
    marked = {digest: np.full_like(answer, 0.5) for digest, answer in kept.by_digest.items()}
    answers = ask(
        [corpus(*MANY)], teachers[:1], question, keeping=Keeping(replace(kept, by_digest=marked))
    ).by_digest
    assert all((answers[digest] == 0.5).all() for digest in marked)
    whole = ask(
        [corpus(*MANY)], teachers[:1], question, keeping=Keeping(replace(kept, by_digest={}))
    )
    check_same(answers | kept.by_digest, whole.by_digest)


def test_features_of_sentences_that_come_later_mean_the_same(
    teachers: list[str], tmp_path: Path
) -> None:
    first, both = tmp_path / "first", tmp_path / "both"
    ask([corpus(TEXTS[0])], teachers[:1], FEATURED).write(first)
    ask([corpus(*TEXTS)], teachers[:1], FEATURED, keeping=Keeping(Answers.load(first))).write(both)
    answers = Answers.load(first, both)
    assert answers.features is not None
    assert len(answers.by_digest) == len(TEXTS)


def test_answers_are_kept_meanwhile(teachers: list[str]) -> None:
    counts: list[int] = []
    keeping = Keeping(keep=lambda answers: counts.append(len(answers.by_digest)), seconds=0)
    ask([corpus(*MANY)], teachers[:1], Question(64), keeping=keeping)
    assert 2 < len(counts) == len(set(counts))
    assert counts[-1] == len(MANY)


@pytest.mark.parametrize(
    ("asked", "difference"),
    [
        (Question(32), "--most-tokens was 64, is 32"),
        (Question(64, re.compile("@")), "--unasked was none, is @"),
        (FEATURED, "--features was False, is True"),
    ],
)
def test_another_question_is_refused(teachers: list[str], asked: Question, difference: str) -> None:
    before = ask([corpus(TEXTS[0])], teachers[:1], Question(64))
    with pytest.raises(StateInvalid, match=re.escape(difference)):
        ask([corpus(*TEXTS)], teachers[:1], asked, keeping=Keeping(before))


def test_another_teacher_is_refused(teachers: list[str], tmp_path: Path) -> None:
    before = ask([corpus(TEXTS[0])], teachers[:1], Question(64))
    with pytest.raises(StateInvalid, match="teacher 0, is train teacher 1"):
        ask([corpus(*TEXTS)], teachers[1:], Question(64), keeping=Keeping(before))


def test_a_teacher_that_has_learned_since_is_another(teachers: list[str]) -> None:
    """The command that trained it is the same: it names no paths."""
    before = ask([corpus(TEXTS[0])], teachers[:1], Question(64))
    (Path(teachers[0]) / WEIGHTS_FILE).write_bytes((Path(teachers[1]) / WEIGHTS_FILE).read_bytes())
    with pytest.raises(StateInvalid, match="sha256 of the teachers' weights was"):
        ask([corpus(*TEXTS)], teachers[:1], Question(64), keeping=Keeping(before))


def test_answers_of_several_files_are_not_gone_on_with(teachers: list[str], tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for path, text in ((one, TEXTS[0]), (other, TEXTS[1])):
        ask([corpus(text)], teachers[:1], Question(64)).write(path)
    with pytest.raises(StateInvalid, match="--most-tokens was none, is 64"):
        ask([corpus(*TEXTS)], teachers[:1], Question(64), keeping=Keeping(Answers.load(one, other)))


def test_the_command_tells_how_to_go_on(
    teachers: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, file = tmp_path / "data", tmp_path / "answers"
    add_bare_set(data, MANY)
    command = ["ask", "--data", str(data), "--teachers", teachers[0], "--into", str(file)]
    pressing = threading.Thread(target=press_ctrl_c_once_it_is_held_back)
    pressing.start()
    status = main(command)
    pressing.join()
    output = capsys.readouterr()
    assert status == 130, output.err
    assert "texts are answered" in output.err
    assert f"go on with: python -m training {' '.join(command)} --resume" in output.err
    assert main(command) == 1
    assert f"{file}: is there already: --resume keeps its answers" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    assert capsys.readouterr().out == f"{file}: answers to {len(MANY)} sentences\n"


def test_resume_without_answers_is_told(
    teachers: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_bare_set(tmp_path / "data")
    command = ["ask", "--data", str(tmp_path / "data"), "--teachers", teachers[0]]
    assert main([*command, "--into", str(tmp_path / "answers"), "--resume"]) == 1
    assert f"{tmp_path / 'answers'}" in capsys.readouterr().err


def press_ctrl_c_once_it_is_held_back() -> None:
    before, deadline_s = signal.getsignal(signal.SIGINT), time.monotonic() + _DEADLINE_S
    while signal.getsignal(signal.SIGINT) == before and time.monotonic() < deadline_s:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)
