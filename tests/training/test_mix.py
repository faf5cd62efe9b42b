"""Answers of teachers that were asked apart: left out where one does not know, and weighed."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from tests.training.test_answers import TEXTS, corpus, said
from training.__main__ import main
from training.answer_mixing import mix
from training.answers import Answers, AnswersInvalid
from training.asking import Question, ask

HANDLE = re.compile(r"@\s?\w+")


def answer_of(answers: Answers, text: str) -> np.ndarray:
    [example] = answers.beside([corpus(text)])[0].examples
    ((_, answer),) = example.answers
    return answer


def test_what_matches_is_not_kept(teachers: list[str], tokenizer: Tokenizer) -> None:
    text = "Tim @ apple in @new Seoul"
    answer = answer_of(ask([corpus(text)], teachers, Question(64, HANDLE)), text)
    encoding = tokenizer.encode(text, add_special_tokens=False)
    handles = [start in range(4, 11) or start in range(15, 19) for start, _ in encoding.offsets]
    assert 0 < sum(handles) < len(handles)
    assert (answer == 0).all(-1).tolist() == handles
    np.testing.assert_allclose(
        answer[~np.array(handles)],
        said(teachers, tokenizer, text)[~np.array(handles)],
        atol=1e-3,
    )


def test_a_mean_weighs_who_speaks(
    teachers: list[str], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    text, alone = "Tim Cook @ apple", TEXTS[1]
    first, second, mixed = (tmp_path / name for name in ("first", "second", "mixed"))
    ask([corpus(text, alone)], teachers[:1], Question(64, HANDLE)).write(first)
    ask([corpus(text)], teachers[1:], Question(64)).write(second)
    weighed = ["--weights", "3", "1", "--into", str(mixed)]
    assert main(["mix", str(first), str(second), *weighed]) == 0
    answers = Answers.load(mixed)
    assert answers.teachers == ("3 of train teacher 0", "1 of train teacher 1")
    one, other = (said([teacher], tokenizer, text) for teacher in teachers)
    expected = 0.75 * one + 0.25 * other
    handle = tokenizer.encode("Tim Cook", add_special_tokens=False)
    expected[len(handle.ids) :] = other[len(handle.ids) :]
    np.testing.assert_allclose(answer_of(answers, text), expected, atol=1e-3)
    np.testing.assert_allclose(
        answer_of(answers, alone), said(teachers[:1], tokenizer, alone), atol=1e-3
    )


def test_without_weights_all_count_alike_and_silence_stays(teachers: list[str]) -> None:
    parts = [ask([corpus("Tim @ apple")], [one], Question(64, HANDLE)) for one in teachers]
    mean = answer_of(mix(parts, [1.0, 1.0]), "Tim @ apple")
    expected = sum(answer_of(part, "Tim @ apple").astype(np.float32) for part in parts) / 2
    np.testing.assert_allclose(mean, expected, atol=1e-3)
    assert mean[0].any()
    assert not mean[1:].any()


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, float("nan")]])
def test_weights_that_weigh_nothing_are_refused(teachers: list[str], weights: list[float]) -> None:
    part = ask([corpus("Bob")], teachers, Question(64))
    with pytest.raises(AnswersInvalid, match="2 files of answers: give one number above 0"):
        mix([part, part], weights)


def test_answers_that_do_not_fit_together_are_refused(
    teachers: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = ask([corpus(TEXTS[0])], teachers, Question(64))
    with pytest.raises(AnswersInvalid, match="answers about unlike tokens"):
        mix([part, replace(part, vocabulary="another")], [1.0, 1.0])
    part.write(tmp_path / "whole")
    ask([corpus(TEXTS[0])], teachers, Question(4)).write(tmp_path / "cut")
    command = ["mix", str(tmp_path / "whole"), str(tmp_path / "cut"), "--into", str(tmp_path / "m")]
    assert main(command) == 1
    assert "ask all teachers with the same --most-tokens" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_answers_are_not_written_over(
    teachers: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, kept = tmp_path / "one", tmp_path / "kept"
    for path, texts in ((one, TEXTS[:1]), (kept, TEXTS)):
        ask([corpus(*texts)], teachers, Question(64)).write(path)
    before = kept.read_bytes()
    assert main(["mix", str(one), "--into", str(kept)]) == 1
    assert f"{kept}: is there already: name another file with --into" in capsys.readouterr().err
    assert kept.read_bytes() == before


def test_a_pattern_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main("ask --data x --teachers y --into z --unasked (".split())
    assert "--unasked: no regular expression" in capsys.readouterr().err
