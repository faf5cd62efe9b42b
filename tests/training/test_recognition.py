"""Recognizing many texts in process, and the two measurements that stand on it."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer as RustTokenizer

from inference.core import Entity
from inference.decoding import Decoder
from inference.errors import ModelInvalid
from inference.tokenization import Tokenizer
from tests.tiny_model import write_version
from training.batch_independence import Independence, measure_independence, sample_texts
from training.data import LABELS, Corpus, Example, SourceSet, Span
from training.document_agreement import document_of, measure_agreement
from training.evaluation import find
from training.recognition import Recognizer, load_recognizer, pad

TEXTS = ["Merkel met Cook", "", "apple in Seoul . " * 8, "Apple"]


class CapitalScorer:
    """Calls each capitalised token a person; `noise` is added for each row of padding."""

    def __init__(self, tokenizer: RustTokenizer, noise: float = 0.0) -> None:
        vocabulary = {i: token for token, i in tokenizer.get_vocab().items()}
        self._is_name = np.array([vocabulary[i][:1].isupper() for i in range(len(vocabulary))])
        self._noise = noise
        self.shapes: list[tuple[int, ...]] = []

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        self.shapes.append(ids.shape)
        logits = np.zeros((*ids.shape, len(LABELS)), dtype=np.float32)
        logits[..., LABELS.index("B-PER")] = np.where(self._is_name[ids], 4.0, -4.0)
        logits[..., 0] += self._noise * (mask == 0).sum(axis=1, keepdims=True)
        return logits


def recognizer(tokenizer: RustTokenizer, window_tokens: int = 64, noise: float = 0.0) -> Recognizer:
    return Recognizer(
        Tokenizer(tokenizer, window_tokens), CapitalScorer(tokenizer, noise), Decoder(LABELS)
    )


def names(found: Sequence[Sequence[Entity]]) -> list[list[str]]:
    return [[entity.text for entity in entities] for entities in found]


@pytest.mark.parametrize("by_length", [True, False])
@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_answers_come_in_the_order_of_the_texts(
    tokenizer: RustTokenizer, batch_size: int, by_length: bool
) -> None:
    """One text has no token, one is cut into several windows."""
    found = recognizer(tokenizer, 10).recognize(TEXTS, batch_size, by_length=by_length)
    assert names(found) == [["Merkel", "Cook"], [], ["Seoul"] * 8, ["Apple"]]


def test_batches_by_length_hold_less_padding(tokenizer: RustTokenizer) -> None:
    scorer = CapitalScorer(tokenizer)
    made = Recognizer(Tokenizer(tokenizer, 64), scorer, Decoder(LABELS))
    texts = ["Apple", "apple " * 40, "Cook", "cook " * 40]
    made.recognize(texts, 2, by_length=True)
    made.recognize(texts, 2, by_length=False)
    assert scorer.shapes == [(2, 3), (2, 42), (2, 42), (2, 42)]


def test_padding_is_marked() -> None:
    ids, mask = pad([np.array([7, 8, 9]), np.array([5])])
    assert ids.tolist() == [[7, 8, 9], [5, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_what_is_found_on_a_mention_without_a_counterpart_is_neither_right_nor_wrong(
    tokenizer: RustTokenizer,
) -> None:
    text = "Merkel met Tim Cook of Apple"
    example = Example("1", text, (Span(0, 6, "PER"), Span(11, 19, None)))
    corpus = Corpus(SourceSet("a", "A", "CC0-1.0"), "", [example])
    [found] = find(recognizer(tokenizer), corpus).entities
    assert [entity.text for entity in found] == ["Merkel", "Apple"]


def test_a_model_whose_answers_depend_on_padding_is_found_out(tokenizer: RustTokenizer) -> None:
    texts = ["Cook met Apple", "apple " * 12, "Merkel"]
    honest = measure_independence(recognizer(tokenizer), texts, 3)
    assert honest == Independence(texts=3, changed=0, largest_score_difference=0.0)
    slight = measure_independence(recognizer(tokenizer, noise=0.01), texts, 3)
    assert slight.changed == 0
    assert slight.largest_score_difference > 1e-4
    assert measure_independence(recognizer(tokenizer, noise=1.0), texts, 3).changed == 2


def test_the_batches_that_are_measured_mix_lengths(tokenizer: RustTokenizer) -> None:
    """Sorted by length these four texts would need no padding, and nothing would be measured."""
    texts = ["Cook", "Merkel met Cook", "Apple", "Apple met Cook"]
    measured = measure_independence(recognizer(tokenizer, noise=0.01), texts, 2)
    assert measured.largest_score_difference > 1e-4


def test_half_of_the_sample_is_of_the_first_set() -> None:
    source = SourceSet("tiny", "Tiny", "CC0-1.0")
    corpora = [
        Corpus(source, "", [Example(str(i), f"{letter}{i}", ()) for i in range(50)])
        for letter in "abc"
    ]
    texts = sample_texts(corpora, 21)
    assert len(set(texts)) == 21
    assert [sum(text.startswith(letter) for text in texts) for letter in "abc"] == [11, 5, 5]


def test_a_sample_of_one_set_is_all_of_it() -> None:
    examples = [Example(str(i), f"a{i}", ()) for i in range(50)]
    corpus = Corpus(SourceSet("tiny", "Tiny", "CC0-1.0"), "", examples)
    assert len(set(sample_texts([corpus], 20))) == 20


@pytest.mark.parametrize("separator", [" ", "\n\n"])
def test_a_document_that_answers_like_its_sentences_agrees_fully(
    tokenizer: RustTokenizer, separator: str
) -> None:
    sentences = ["Merkel met Cook .", "apple in Seoul .", "Apple met the apple ."] * 10
    agreement = measure_agreement(recognizer(tokenizer, 16), sentences, separator)
    assert agreement.quality.f1 == 100.0
    assert (agreement.window_tokens, agreement.words) == (16, 130)


def test_a_document_is_the_first_sentences_that_hold_the_words() -> None:
    assert document_of(["a b", "c", "d e f", "g"], 4) == ["a b", "c", "d e f"]
    assert document_of(["a"], 10) == ["a"]


def test_a_model_without_labels_beside_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match=r"config\.json: No such file"):
        load_recognizer(tmp_path / "model.onnx", 64, 1)
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {"1": "O"}}))
    with pytest.raises(ModelInvalid, match=r"config\.json: id2label must map 0, 1"):
        load_recognizer(tmp_path / "model.onnx", 64, 1)


@pytest.mark.parametrize("joined", [True, False])
def test_what_is_measured_has_the_words_that_are_served(tmp_path: Path, joined: bool) -> None:
    folder = write_version(tmp_path / "tiny" / "1")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"joined_words": joined}))
    found = load_recognizer(folder / "model.onnx", 64, 1).recognize(["met Paris-a"])
    assert names(found) == [["Paris-a" if joined else "Paris"]]


@pytest.mark.parametrize(("tokens", "windows"), [(0, 198), (32, 14)])
def test_what_is_measured_has_the_windows_that_are_served(
    tmp_path: Path, tokens: int, windows: int
) -> None:
    folder = write_version(tmp_path / "tiny" / "1")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"passage_tokens": tokens}))
    tokenizer = load_recognizer(folder / "model.onnx", 64, 1).tokenizer
    assert len(tokenizer.tokenize("Paris. Seoul. " * 99).windows) == windows


def test_what_is_measured_has_the_consistency_that_is_served(tmp_path: Path) -> None:
    folder = write_version(tmp_path / "tiny" / "1")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"label_consistency": 0.75}))
    assert load_recognizer(folder / "model.onnx", 64, 1).decoder.label_consistency == 0.75


@pytest.mark.parametrize("min_score", [0.0, 1.0])
def test_what_is_measured_is_what_is_returned(tmp_path: Path, min_score: float) -> None:
    folder = write_version(tmp_path / "tiny" / "1")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"min_score": min_score}))
    recognizer = load_recognizer(folder / "model.onnx", 64, 1)
    assert names(recognizer.recognize(["met Paris"])) == [[] if min_score else ["Paris"]]
    source = SourceSet("tiny", "Tiny", "CC0-1.0")
    found = find(recognizer, Corpus(source, "", [Example("1", "met Paris", ())]))
    assert names(found.entities) == [["Paris"]]
    assert found.returned == ([[]] if min_score else found.entities)
