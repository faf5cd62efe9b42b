"""Whether names end at signs within words."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from training.checkpoint import TrainingRecord, load_cased, save
from training.data import ENTITY_TYPES, LABELS, Corpus, Example, SourceSet, Span
from training.fine_tune import EpochReport, Recipe, Run, fine_tune
from training.network import Network, joins_words
from training.score_calibration import calibrate
from training.silver import write_silver
from training.word_borders import WordBorders, word_borders

SOURCE = SourceSet("tiny", "Tiny", "CC0-1.0")


@pytest.fixture(params=[True, False])
def joined(request: pytest.FixtureRequest) -> bool:
    """Whether a sign within a word ends none."""
    return bool(request.param)


@pytest.fixture
def persons(
    joined: bool,
    network: Network,
    tokenizer: Tokenizer,
    record: TrainingRecord,
    run_folder: Path,
) -> Path:
    """A checkpoint to which every word is a person of its own."""
    with torch.no_grad():
        network.classifier.weight.zero_()
        network.classifier.bias.zero_()
        network.classifier.bias[LABELS.index("B-PER")] = 5.0
    network.config.joined_words = joined
    save(run_folder, network, tokenizer, record)
    return run_folder


def corpus(*marked: str) -> Corpus:
    """Texts with one mention each, in brackets."""
    examples = []
    for i, text in enumerate(marked):
        start, end = text.index("["), text.index("]") - 1
        spans = (Span(start, end, "PER"),)
        examples.append(Example(str(i), text.replace("[", "").replace("]", ""), spans))
    return Corpus(SOURCE, "0" * 64, examples)


@pytest.mark.parametrize(
    ("text", "whole", "cut"),
    [
        ("[Jean-Luc] met Anne-Marie", 1, 0),
        ("Anne-Marie met [Jean-Luc Cook-Merkel] in", 2, 0),
        ("the [Paris]-based Apple", 0, 1),
        ("pro-[Paris]", 0, 1),
        ("[Tim Paris]-based", 0, 1),
        ("[Ann]'s Jean-Luc", 0, 0),
        ("[Jean-Luc]'s", 1, 0),
        ("([AT&T])", 1, 0),
        ("a-b [Tim] a-b", 0, 0),
    ],
)
def test_words_with_signs_within_are_in_a_name_altogether_or_in_part(
    text: str, whole: int, cut: int
) -> None:
    assert word_borders([corpus(text)]) == WordBorders(whole, cut)


def test_a_word_that_holds_two_names_is_cut() -> None:
    text = "Iran-Iraq"
    example = Example("1", text, (Span(0, 4, "LOC"), Span(5, 9, "LOC")))
    assert word_borders([Corpus(SOURCE, "", [example])]) == WordBorders(0, 1)


@pytest.mark.parametrize(
    ("borders", "joined"),
    [
        (WordBorders(0, 0), None),
        (WordBorders(19, 0), None),
        (WordBorders(20, 0), True),
        (WordBorders(99, 1), True),
        (WordBorders(98, 2), False),
        (WordBorders(0, 20), False),
    ],
)
def test_a_few_words_say_nothing_and_a_slip_is_none(
    borders: WordBorders, joined: bool | None
) -> None:
    assert borders.joined is joined


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["[Tim-Cook] met Apple"] * 20, [True, True]),
        (["[Tim]-Cook met Apple"] * 20, [False, False]),
        (["[Tim] met Apple"] * 20, [False, True]),
    ],
)
def test_a_run_learns_what_words_are_and_keeps_what_its_texts_say_nothing_of(
    encoder: Path, tmp_path: Path, texts: list[str], expected: list[bool]
) -> None:
    """First from an encoder, then from a model whose words have signs within."""
    recipe = Recipe(str(encoder), epochs=1, batch_size=8, threads=1, device="cpu")
    joined = Run(tmp_path / "joined", "", None)
    fine_tune(recipe, [corpus(*["[Tim-Cook] met"] * 20)], [], joined)
    found = []
    for i, begin_with in enumerate(["", str(joined.folder)]):
        run = Run(tmp_path / str(i), "", None)
        fine_tune(replace(recipe, begin_with=begin_with), [corpus(*texts)], [], run)
        found.append(joins_words(load_cased(run.folder)))
    assert found == expected


def test_a_run_is_measured_by_its_words(persons: Path, tmp_path: Path, joined: bool) -> None:
    """Two words, of which one is a name, or four that are none."""
    recipe = Recipe(begin_with=str(persons), epochs=1, learning_rate=1e-9, threads=1, device="cpu")
    reports: list[EpochReport] = []
    text = corpus("[Tim-Cook] met")
    fine_tune(recipe, [text], [text], Run(tmp_path / "run", "", None), reports.append)
    assert reports[0].metrics["mean_f1"] == pytest.approx(200 / 3 if joined else 0.0)


def test_scores_are_calibrated_by_its_words(persons: Path, joined: bool) -> None:
    """Right in every other case, which 5 / ln 8 makes of the logits; or never."""
    found = calibrate(persons, [corpus("[Tim-Cook] met")])
    assert found.temperature == pytest.approx(2.4 if joined else 8.0, rel=0.05)


def test_teachers_label_by_their_words(persons: Path, tmp_path: Path, joined: bool) -> None:
    bare = SourceSet("bare", "Bare", "CC0-1.0", unlabelled_types=frozenset(ENTITY_TYPES))
    text = Corpus(bare, "", [Example("1", "Tim-Cook met", ())])
    write_silver([text], [str(persons)], tmp_path / "silver", sure=0.5)
    [line] = (tmp_path / "silver" / "bare" / "train.jsonl").read_text("utf-8").splitlines()
    spans = [(span["start"], span["end"]) for span in json.loads(line)["spans"]]
    assert spans == ([(0, 8), (9, 12)] if joined else [(0, 3), (3, 4), (4, 8), (9, 12)])


def test_a_run_counts_the_first_tokens_of_its_words(
    persons: Path, tmp_path: Path, joined: bool
) -> None:
    """Right for the first of "Tim-Cook", wrong for "met", and for two tokens within."""
    recipe = Recipe(begin_with=str(persons), epochs=1, learning_rate=1e-9, threads=1, device="cpu")
    right = math.log1p(8 * math.exp(-5.0))
    losses = []
    for weight in (1.0, 0.5, 0.0):
        reports: list[EpochReport] = []
        run = Run(tmp_path / str(weight), "", None)
        settings = replace(recipe, continuation_weight=weight)
        fine_tune(settings, [corpus("[Tim-Cook] met")], [], run, reports.append)
        losses.append(reports[0].metrics["loss"])
    shares = [3 / 4, 2 / 3, 1 / 2] if joined else [3 / 4] * 3
    assert losses == pytest.approx([right + 5 * share for share in shares])
