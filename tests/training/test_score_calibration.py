"""Logits that are shifted until F1 is as good as highest, and softened to be worth their name."""

import json
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import BertForTokenClassification

from inference.decoding import Decoder
from inference.tokenization import Tokenizer as ServingTokenizer
from training.__main__ import main
from training.calibration import ScoredEntity
from training.checkpoint import (
    WEIGHTS_FILE,
    TrainingRecord,
    keep_record,
    load_plain,
    load_record,
    save,
)
from training.data import LABELS, Corpus, Example, SourceSet, Span
from training.recognition import Recognizer
from training.score_calibration import (
    Calibration,
    best_calibration,
    calibrate,
    least_min_score,
    log_loss,
    outside,
)

_SOURCE = SourceSet("tiny", "Tiny", "CC0-1.0")
_SURENESS = 4.0


class AlwaysPerson:
    """Says that each word begins a person, with e^sureness : 1 against O and nothing else."""

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        logits = np.full((*ids.shape, len(LABELS)), -50, np.float32)
        logits[..., LABELS.index("O")] = 0
        logits[..., LABELS.index("B-PER")] = _SURENESS
        return logits


class UnsureOfApples:
    """Says with e^1 : 1 that "york" is a person and "apple" is none, but for what it thinks of O.

    Args:
        of_o: added to the logit of O.
    """

    def __init__(self, of_o: float) -> None:
        self._of_o = of_o

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        logits = np.full((*ids.shape, len(LABELS)), -50, np.float32)
        logits[..., LABELS.index("O")] = self._of_o
        york = ids == ids[0, 1]
        logits[..., LABELS.index("B-PER")] = np.where(york, 0.25, -0.25)
        return logits


@pytest.fixture
def recognizer(tokenizer: Tokenizer) -> Recognizer:
    return Recognizer(ServingTokenizer(tokenizer, 64), AlwaysPerson(), Decoder(LABELS))


def corpus(words: int, persons: int) -> Corpus:
    """A text of so many words, the first of which are persons."""
    spans = tuple(Span(5 * i, 5 * i + 4, "PER") for i in range(persons))
    return Corpus(_SOURCE, "", [Example("1", "york " * words, spans)])


def test_the_score_becomes_the_share_that_is_right(recognizer: Recognizer) -> None:
    """Sure to 98 % and right in 3 cases of 4: a temperature of sureness / ln 3 makes it 75 %."""
    found = best_calibration(recognizer, [corpus(12, persons=9)])
    assert found.outside_shift == 0.0
    assert found.temperature == pytest.approx(_SURENESS / np.log(3), rel=0.03)


def test_the_temperature_is_that_of_the_shift_that_is_given(recognizer: Recognizer) -> None:
    """One more for O is one less for the person: the scores are nearer to their name."""
    found = best_calibration(recognizer, [corpus(12, persons=9)], shift=1.0)
    assert found.outside_shift == 1.0
    assert found.temperature == pytest.approx((_SURENESS - 1) / np.log(3), rel=0.03)


@pytest.mark.parametrize(("of_o", "shift"), [(-0.4, 0.25), (0.1, 0.0), (0.7, -0.5)])
def test_the_shift_is_the_least_at_which_f1_is_highest(
    tokenizer: Tokenizer, of_o: float, shift: float
) -> None:
    """A network that is wrong about O by so much; what it takes to be right comes in quarters."""
    scorer = UnsureOfApples(of_o)
    network = Recognizer(ServingTokenizer(tokenizer, 64), scorer, Decoder(LABELS))
    text = "york apple " * 4
    spans = [Span(11 * i, 11 * i + 4, "PER") for i in range(4)]
    found = best_calibration(network, [Corpus(_SOURCE, "", [Example("1", text, tuple(spans))])])
    assert found.outside_shift == shift


def test_what_a_shift_gains_by_chance_is_not_worth_it(tokenizer: Tokenizer) -> None:
    """One word of a thousand is wrong without a shift: F1 99.95 for 100."""
    network = Recognizer(ServingTokenizer(tokenizer, 64), UnsureOfApples(-0.4), Decoder(LABELS))
    spans = tuple(Span(5 * i, 5 * i + 4, "PER") for i in range(1_000))
    measured = Corpus(_SOURCE, "", [Example("1", "york " * 1_000 + "apple", spans)])
    assert best_calibration(network, [measured]).outside_shift == 0.0


def test_nothing_found_leaves_the_scores(recognizer: Recognizer) -> None:
    empty = Corpus(_SOURCE, "", [Example("1", " ", ())])
    assert best_calibration(recognizer, [empty]) == Calibration(0.0, 1.0, 0.0)


class SureOfYork:
    """Gives "york" as a person 95 %, and "apple" as one a share that falls short of a half."""

    def __init__(self, apple: float) -> None:
        self._apple = apple

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        york = ids == ids[0, 1]
        person = np.where(york, 0.95, self._apple)
        # What is left is shared by all other labels, so that the person stays the likeliest.
        logits = np.log(np.repeat((1 - person)[..., None] / (len(LABELS) - 1), len(LABELS), -1))
        logits[..., LABELS.index("B-PER")] = np.log(person)
        return logits.astype(np.float32)


@pytest.mark.parametrize(
    ("apple", "right", "expected"), [(0.33, 0, 0.35), (0.42, 0, 0.45), (0.42, 4, 0.0)]
)
def test_the_least_score_is_the_least_at_which_f1_is_highest(
    tokenizer: Tokenizer, apple: float, right: int, expected: float
) -> None:
    """It leaves out the apples, unless enough of them are persons."""
    network = Recognizer(ServingTokenizer(tokenizer, 64), SureOfYork(apple), Decoder(LABELS))
    spans = [Span(11 * i, 11 * i + 4, "PER") for i in range(4)]
    spans += [Span(11 * i + 5, 11 * i + 10, "PER") for i in range(right)]
    text = Example("1", "york apple " * 4, tuple(sorted(spans, key=lambda span: span.start)))
    assert least_min_score(network, [Corpus(_SOURCE, "", [text])]) == expected


def test_a_checkpoint_that_was_calibrated_gets_what_it_lacks_alone(
    network: BertForTokenClassification,
    tokenizer: Tokenizer,
    record: TrainingRecord,
    tmp_path: Path,
) -> None:
    """Its weights stay, and its configuration says what the record says."""
    before = replace(record, temperature=2.0, min_score=None)
    network = deepcopy(network)
    with torch.no_grad():
        network.classifier.weight.zero_()
        network.classifier.bias.fill_(-50)
        network.classifier.bias[[LABELS.index("O"), LABELS.index("B-PER")]] = torch.tensor([0, 0.1])
    save(tmp_path, network, tokenizer, before)
    weights = (tmp_path / WEIGHTS_FILE).read_bytes()
    texts = corpus(12, persons=1)
    found = calibrate(tmp_path, [texts])
    assert found == Calibration(0.0, 2.0, 0.0)  # 52 % of sureness is worth its place
    assert load_record(tmp_path) == replace(before, min_score=0.0, label_consistency=0.0)
    keep_record(tmp_path, replace(before, min_score=0.4))
    assert calibrate(tmp_path, [texts]) == Calibration(0.0, 2.0, 0.4, 0.0)
    assert load_record(tmp_path) == replace(before, min_score=0.4, label_consistency=0.0)
    whole = replace(before, min_score=0.4, label_consistency=0.5)
    keep_record(tmp_path, whole)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    assert (config["min_score"], config["label_consistency"]) == (0.4, 0.5)
    assert calibrate(tmp_path, [texts]) == Calibration(0.0, 2.0, 0.4, 0.5)
    assert load_record(tmp_path) == whole
    assert (tmp_path / WEIGHTS_FILE).read_bytes() == weights
    keep_record(tmp_path, before)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    assert not {"min_score", "label_consistency"} & config.keys()


def test_the_log_loss_is_the_mean_surprise() -> None:
    entities = [ScoredEntity(0.8, right=True), ScoredEntity(0.8, right=False)]
    assert log_loss(entities) == pytest.approx(-(np.log(0.8) + np.log(0.2)) / 2)
    assert np.isfinite(log_loss([ScoredEntity(1.0, right=False)]))


def test_a_checkpoint_is_softened_once(
    network: BertForTokenClassification,
    tokenizer: Tokenizer,
    record: TrainingRecord,
    tmp_path: Path,
) -> None:
    """Its logits are divided by what its record says, and a second time changes nothing."""
    save(tmp_path, network, tokenizer, record)
    ids = torch.tensor([[2, 5, 6, 3]])
    before = load_plain(tmp_path)(input_ids=ids).logits
    found = calibrate(tmp_path, [corpus(12, persons=3)])
    after = load_plain(tmp_path)(input_ids=ids).logits
    assert found.temperature != 1.0
    assert load_record(tmp_path) == replace(record, **asdict(found))
    shifted = before + torch.from_numpy(outside(found.outside_shift))
    assert torch.allclose(after, shifted / found.temperature, atol=1e-5)
    assert calibrate(tmp_path, [corpus(12, persons=12)]) == found
    assert torch.equal(load_plain(tmp_path)(input_ids=ids).logits, after)


def test_a_shift_that_is_given_is_taken_and_calibrates_anew(
    network: BertForTokenClassification,
    tokenizer: Tokenizer,
    record: TrainingRecord,
    tmp_path: Path,
) -> None:
    """As AlwaysPerson, whatever the checkpoint had gone through before."""
    network = deepcopy(network)
    with torch.no_grad():
        network.classifier.weight.zero_()
        network.classifier.bias.fill_(-50)
        network.classifier.bias[[LABELS.index("O"), LABELS.index("B-PER")]] = torch.tensor(
            [0, _SURENESS]
        )
    save(tmp_path, network, tokenizer, record)
    before = load_plain(tmp_path).classifier.bias
    for shift in (None, 0.4, -2.0, 0.4):
        found = calibrate(tmp_path, [corpus(12, persons=9)], shift)
        assert found.outside_shift == (shift or 0.0)
        assert found.temperature == pytest.approx(
            (_SURENESS - (shift or 0.0)) / np.log(3), rel=0.03
        )
        assert load_record(tmp_path) == replace(record, **asdict(found))
        shifted = before + torch.from_numpy(outside(found.outside_shift))
        after = load_plain(tmp_path).classifier.bias
        assert torch.allclose(after, shifted / found.temperature, atol=1e-5)


@pytest.mark.parametrize("word", ["nan", "inf", "much"])
def test_a_shift_is_a_number(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["calibrate", "--data", ".", "--shift", word])
    assert "argument --shift" in capsys.readouterr().err


class SureOfTheFirst:
    """Says of the first "york" of each text that it is a person, and is not sure of the others."""

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        logits = np.full((*ids.shape, len(LABELS)), -50, np.float32)
        logits[..., LABELS.index("O")] = 0.0
        logits[..., LABELS.index("B-PER")] = np.where(ids == ids[0, 1], -0.1, -50)
        logits[:, 1, LABELS.index("B-PER")] = 10.0
        return logits


@pytest.mark.parametrize(
    ("document", "right", "expected"), [("a", 4, True), ("a", 2, False), ("", 4, False)]
)
def test_the_consistency_is_what_whole_documents_are_best_with(
    tokenizer: Tokenizer, document: str, right: int, expected: bool
) -> None:
    """None where no set says what a document is, or where the first speaks for no other."""
    network = Recognizer(ServingTokenizer(tokenizer, 64), SureOfTheFirst(), Decoder(LABELS))
    sentences = [
        Example(
            str(i),
            "York apple York",
            tuple(Span(s, s + 4, "PER") for s in (0, 11)[: right // 2]),
            document=document,
        )
        for i in range(2)
    ]
    found = best_calibration(network, [Corpus(_SOURCE, "", sentences)], shift=0.0)
    assert (found.label_consistency > 0) == expected
