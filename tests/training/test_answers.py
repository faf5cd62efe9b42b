"""Answers: teachers are asked once, and their student learns from what they said."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from training.__main__ import main
from training.answers import Answers, AnswersInvalid
from training.asking import Question, ask
from training.batches import collate, encode
from training.casing import EncoderInvalid
from training.checkpoint import load_record
from training.course import new_course
from training.data import ENTITY_TYPES, Corpus, Example, SourceSet, join
from training.data_folder import find_sets, read_corpus
from training.distillation import Teachers
from training.fine_tune import Recipe, Run, fine_tune
from training.mention_replacement import mentions_of, with_mentions_replaced
from training.recipe_options import command_of

TEXTS = ("Tim Cook of Apple in Seoul", "Angela Merkel met McDonald", "New York the apple", "", " ")
LEARNED = "the apple in New York 2"  # in train splits of `data`
CPU = torch.device("cpu")


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """The file that a student is told of."""
    return tmp_path / "answers.safetensors"


def corpus(*texts: str) -> Corpus:
    nothing = frozenset(ENTITY_TYPES)
    examples = [Example(str(i), text, (), nothing) for i, text in enumerate(texts)]
    return Corpus(SourceSet("bare", "Bare", "CC0-1.0", nothing), "", examples)


def said(teachers: list[str], tokenizer: Tokenizer, text: str) -> np.ndarray:
    """What teachers say of a text by itself, special tokens left out."""
    ids = torch.tensor([tokenizer.encode(text).ids])
    targets: np.ndarray = Teachers.load(teachers, CPU).targets(ids, torch.ones_like(ids)).numpy()
    return targets[0, 1:-1]


def test_each_answer_is_what_the_teachers_say_of_the_text(
    teachers: list[str], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    asked = ask([corpus(*TEXTS), corpus(TEXTS[0])], teachers, Question(64))
    asked.write(tmp_path / "kept" / "answers.safetensors")
    answers = Answers.load(tmp_path / "kept" / "answers.safetensors")
    assert len(answers.by_digest) == len(TEXTS)
    assert answers.teachers == ("train teacher 0", "train teacher 1")
    for example in answers.beside([corpus(*TEXTS)])[0].examples:
        ((start, answer),) = example.answers
        assert start == 0
        np.testing.assert_allclose(answer, said(teachers, tokenizer, example.text), atol=1e-3)


def test_teachers_are_not_asked_about_texts_that_they_cannot_read(teachers: list[str]) -> None:
    with pytest.raises(EncoderInvalid, match="--most-tokens 257: this encoder reads at most 256"):
        ask([corpus(*TEXTS)], teachers, Question(257))


def test_of_several_files_the_last_that_knows_a_text_is_right(
    teachers: list[str], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    older, newer = tmp_path / "older", tmp_path / "newer"
    ask([corpus(*TEXTS[:2])], teachers[:1], Question(64)).write(older)
    ask([corpus(*TEXTS[1:3])], teachers[1:], Question(64)).write(newer)
    answers = Answers.load(older, newer)
    assert answers.teachers == ("train teacher 0", "train teacher 1")
    assert answers.sha256 == f"{Answers.load(older).sha256} {Answers.load(newer).sha256}"
    knowing = (teachers[:1], teachers[1:], teachers[1:])
    [answered] = answers.beside([corpus(*TEXTS[:3])])
    for example, teacher in zip(answered.examples, knowing, strict=True):
        ((_, answer),) = example.answers
        np.testing.assert_allclose(answer, said(teacher, tokenizer, example.text), atol=1e-3)


def test_files_of_answers_about_unlike_tokens_are_refused(
    teachers: list[str], tmp_path: Path
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    asked = ask([corpus("Bob")], teachers, Question(64))
    asked.write(one)
    replace(asked, vocabulary="another").write(other)
    with pytest.raises(AnswersInvalid, match=f"{other}: answers about other tokens than"):
        Answers.load(one, other)


def test_a_passage_keeps_the_answers_to_its_sentences(
    teachers: list[str], tokenizer: Tokenizer
) -> None:
    answers = ask([corpus(*TEXTS)], teachers, Question(64))
    [answered] = answers.beside([corpus(TEXTS[0], "Bob 2", TEXTS[1], "", TEXTS[2])])
    passage = answered.examples[0]
    for example in answered.examples[1:]:
        passage = join(passage, example, "\n")
    targets = encode(passage, tokenizer, 256).targets
    assert targets is not None
    expected = [
        np.zeros((1, 9)),
        said(teachers, tokenizer, TEXTS[0]),
        np.zeros((len(tokenizer.encode("Bob 2").ids) - 2, 9)),
        said(teachers, tokenizer, TEXTS[1]),
        said(teachers, tokenizer, TEXTS[2]),
        np.zeros((1, 9)),
    ]
    np.testing.assert_allclose(targets, np.concatenate(expected), atol=1e-3)


def test_a_batch_has_targets_where_there_are_answers(
    teachers: list[str], tokenizer: Tokenizer
) -> None:
    answers = ask([corpus(TEXTS[0])], teachers, Question(64))
    [answered] = answers.beside([corpus("Bob", TEXTS[0])])
    encoded = [encode(example, tokenizer, 6) for example in answered.examples]
    targets = collate(encoded).targets
    assert targets is not None
    assert targets.any(-1).tolist() == [[False] * 6, [False] + [True] * 5]
    assert collate(encoded[:1]).targets is None


def test_a_sentence_with_other_names_has_no_answer(teachers: list[str], data: Path) -> None:
    source = find_sets(data, ["wikigold"])[0]
    answers = ask([read_corpus(data, source, "train")], teachers, Question(64))
    [answered] = answers.beside([read_corpus(data, source, "train")])
    mentions, rng = mentions_of(answered.examples), random.Random(1)  # noqa: S311 - no secret
    changed = 0
    for example in answered.examples:
        varied = with_mentions_replaced(example, mentions, 1.0, rng)
        changed += varied.text != example.text
        assert bool(varied.answers) == (varied.text == example.text)
    assert 0 < changed < len(answered.examples)


def test_a_student_of_the_answers_comes_near_to_the_teachers(
    encoder: Path,
    data: Path,
    teachers: list[str],
    tokenizer: Tokenizer,
    tmp_path: Path,
    answers: Path,
) -> None:
    add_bare_set(data)
    asked = ["ask", "--data", str(data), "--teachers", teachers[0], "--into", str(answers)]
    assert main([*asked, "--threads", "1"]) == 0
    corpora = [read_corpus(data, source, "train") for source in find_sets(data)]
    recipe = Recipe(
        encoder=str(encoder),
        answers=(str(answers),),
        epochs=8,
        batch_size=8,
        learning_rate=3e-3,
        most_tokens=32,
        threads=1,
    )
    distances = []
    for share in (0.0, 1.0):
        student = tmp_path / f"student{share}"
        run = Run(student, "train", None, state_steps=0)
        fine_tune(replace(recipe, teachers_share=share), corpora, [], run)
        difference = said([str(student)], tokenizer, TEXTS[0]) - said(
            teachers[:1], tokenizer, TEXTS[0]
        )
        distances.append(float(np.abs(difference).mean()))
    assert distances[1] < 0.5 * distances[0]
    assert load_record(tmp_path / "student1.0").teachers == ("train teacher 0",)


def test_the_command_that_is_kept_names_no_path_of_this_machine() -> None:
    recipe = Recipe(answers=("/home/me/answers", "/home/me/more"))
    assert " --answers ANSWERS1 ANSWERS2 " in command_of(recipe)


def test_bare_text_that_nobody_was_asked_about_is_refused(
    encoder: Path,
    data: Path,
    teachers: list[str],
    tmp_path: Path,
    answers: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ask([corpus("Bob", TEXTS[1])], teachers, Question(64)).write(answers)
    add_bare_set(data)
    assert run_fine_tune(encoder, data, tmp_path / "student", answers) == 1
    error = capsys.readouterr().err
    assert f"bare/train.jsonl:1: no answer to this text in {answers}, nor to 3 more" in error


def test_answers_to_none_of_the_texts_are_refused(
    encoder: Path,
    data: Path,
    teachers: list[str],
    tmp_path: Path,
    answers: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As where sentences were joined or corrected since: nothing would be learned of them."""
    ask([corpus("Bob")], teachers, Question(64)).write(answers)
    assert run_fine_tune(encoder, data, tmp_path / "student", answers) == 1
    assert f"{answers}: no answer to any text of uner_en_ewt, wiki" in capsys.readouterr().err


def test_how_many_texts_have_an_answer_is_told(
    encoder: Path,
    data: Path,
    teachers: list[str],
    answers: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    corpora = [read_corpus(data, source, "train") for source in find_sets(data)[:2]]
    texts = sorted({example.text for example in corpora[0].examples})
    ask([corpus(texts[0])], teachers, Question(64)).write(answers)
    recipe = Recipe(encoder=str(encoder), answers=(str(answers),), device="cpu", threads=1)
    with caplog.at_level("INFO"):
        new_course(recipe, corpora, [], Run(tmp_path / "run", "train", None))
    assert "uner_en_ewt: 1 of 32 texts answered\n" in caplog.text
    assert "wikigold: 1 of 32 texts answered\n" in caplog.text


def test_answers_about_other_tokens_are_refused(
    encoder: Path,
    data: Path,
    teachers: list[str],
    tmp_path: Path,
    answers: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    replace(ask([corpus(LEARNED)], teachers, Question(64)), vocabulary="another").write(answers)
    assert run_fine_tune(encoder, data, tmp_path / "student", answers) == 1
    assert "answers about other tokens than this encoder's" in capsys.readouterr().err


def test_a_teacher_is_no_file_of_answers(
    encoder: Path,
    data: Path,
    teachers: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_fine_tune(encoder, data, tmp_path / "student", Path(teachers[0])) == 1
    assert f"{teachers[0]}: no file of answers; `ask` writes one" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_file_of_something_else_is_refused(
    encoder: Path,
    data: Path,
    tmp_path: Path,
    answers: Path,
    content: bytes,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers.write_bytes(content)
    assert run_fine_tune(encoder, data, tmp_path / "student", answers) == 1
    assert f"{answers}: no file of answers; `ask` writes one" in capsys.readouterr().err


def add_bare_set(data: Path, texts: Sequence[str] = TEXTS) -> None:
    (data / "bare").mkdir(parents=True)
    about = {"title": "Bare", "licence": "CC0-1.0", "unlabelled_types": list(ENTITY_TYPES)}
    (data / "bare" / "set.json").write_text(json.dumps(about))
    lines = [json.dumps({"text": text, "spans": []}) for text in texts]
    (data / "bare" / "train.jsonl").write_text("\n".join(lines) + "\n")


def run_fine_tune(encoder: Path, data: Path, run: Path, answers: Path) -> int:
    command = f"fine-tune --data {data} --run {run} --encoder {encoder} --answers {answers}"
    return main([*command.split(), "--no-tracking"])
