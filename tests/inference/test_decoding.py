"""From label scores to entities."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.core import Aggregation, Entity, TokenizedText, Window
from inference.decoding import Decoder
from inference.errors import ModelInvalid
from tests.tiny_model import CONFIDENT, LABELS

DECODER = Decoder(LABELS)


def tokenized(text: str, spans: list[tuple[int, int]], words: list[int]) -> TokenizedText:
    """A text whose one window has a special token at each end."""
    window = Window(np.zeros(len(spans) + 2, dtype=np.int64), slice(1, len(spans) + 1))
    return TokenizedText(text, spans, words, [window])


def words_of(text: str) -> TokenizedText:
    """A text of words with one blank between them, one token a word."""
    spans, start = [], 0
    for word in text.split(" "):
        spans.append((start, start + len(word)))
        start += len(word) + 1
    return tokenized(text, spans, list(range(len(spans))))


def logits_of(*scores: dict[str, float]) -> list[np.ndarray]:
    """Logits of one window: a row for each token, 0 where nothing is said."""
    rows = np.zeros((len(scores) + 2, len(LABELS)), dtype=np.float32)
    for row, named in zip(rows[1:-1], scores, strict=True):
        for label, score in named.items():
            row[LABELS.index(label)] = score
    rows[[0, -1], LABELS.index("B-LOC")] = 99  # special tokens must not count
    return [rows]


def sure(*labels: str) -> list[np.ndarray]:
    """Logits that are sure of these labels."""
    return logits_of(*({label: CONFIDENT} for label in labels))


def found(entities: list[Entity]) -> list[tuple[str, str]]:
    """Label and text of each entity."""
    return [(entity.label, entity.text) for entity in entities]


def test_words_of_one_name_become_one_entity() -> None:
    entities = DECODER.decode(
        words_of("Angela Merkel met Tim Cook"), sure("B-PER", "I-PER", "O", "B-PER", "I-PER")
    )
    assert found(entities) == [("PER", "Angela Merkel"), ("PER", "Tim Cook")]
    assert [(e.start, e.end) for e in entities] == [(0, 13), (18, 26)]


def test_two_names_side_by_side_stay_two() -> None:
    text = words_of("Paris Seoul Apple")
    entities = DECODER.decode(text, sure("B-LOC", "B-LOC", "B-ORG"))
    assert found(entities) == [("LOC", "Paris"), ("LOC", "Seoul"), ("ORG", "Apple")]


@pytest.mark.parametrize("aggregation", list(Aggregation)[:-1])
def test_no_name_stands_across_a_line_that_begins_anew(aggregation: Aggregation) -> None:
    """Whatever the second line began with, its first word begins a name."""
    one_line = words_of("by Tim Cook Angela Merkel")
    logits = sure("O", "B-PER", "I-PER", "I-PER", "I-PER")
    assert found(DECODER.decode(one_line, logits, aggregation)) == [
        ("PER", "Tim Cook Angela Merkel")
    ]
    two_lines = replace(one_line, line_starts=[3])
    assert found(DECODER.decode(two_lines, logits, aggregation)) == [
        ("PER", "Tim Cook"),
        ("PER", "Angela Merkel"),
    ]


def test_a_line_that_begins_inside_a_name_is_as_sure_to_begin_one() -> None:
    """What the model gives B- and I- there means the same; the score is of both."""
    text = replace(words_of("Tim Cook"), line_starts=[1])
    logits = logits_of({"B-PER": CONFIDENT}, {"I-PER": 3.0, "B-PER": 2.9, "O": 2.5})
    first, second = DECODER.decode(text, logits)
    assert (first.text, second.text) == ("Tim", "Cook")
    others = len(LABELS) - 3
    begun = np.exp(3.0) + np.exp(2.9)
    assert second.score == pytest.approx(begun / (begun + np.exp(2.5) + others), rel=1e-5)


def test_a_line_that_begins_a_window_is_scored_as_a_text_of_its_own() -> None:
    """The model saw no line before it there."""
    alone = DECODER.decode(words_of("Cook"), logits_of({"I-PER": 3.0, "B-PER": 2.9, "O": 1.0}))
    window = Window(np.zeros(3, dtype=np.int64), slice(1, 2))
    text = TokenizedText("Tim\nCook", [(0, 3), (4, 8)], [0, 1], [window, window], [1])
    first, second = (
        logits_of(scores)[0] for scores in ({"B-PER": 9.0}, {"I-PER": 3.0, "B-PER": 2.9, "O": 1.0})
    )
    assert DECODER.decode(text, [first, second])[1].score == alone[0].score


def test_lines_are_apart_where_labels_do_not_tell_beginnings() -> None:
    """In IO one label says both."""
    text = replace(words_of("Tim Cook Angela"), line_starts=[2])
    logits = np.zeros((5, 2), dtype=np.float32)
    logits[:, 1] = CONFIDENT
    entities = Decoder(["O", "I-PER"]).decode(text, [logits])
    assert found(entities) == [("PER", "Tim Cook"), ("PER", "Angela")]


def test_the_tokens_of_one_word_are_not_taken_apart() -> None:
    """A tokenizer may take a whole text, line breaks and all, for one word."""
    text = replace(tokenized("Tim\nCook", [(0, 3), (4, 8)], [0]), line_starts=[1])
    assert found(DECODER.decode(text, sure("B-PER", "I-PER"))) == [("PER", "Tim\nCook")]


def test_an_inside_label_without_a_beginning_is_mended_by_the_best_legal_path() -> None:
    text = words_of("Tim Cook")
    logits = logits_of({"O": 2.0, "B-PER": 1.9}, {"I-PER": 5.0, "O": 1.0})
    assert found(DECODER.decode(text, logits)) == [("PER", "Tim Cook")]


def test_the_path_keeps_what_is_certain_when_it_mends() -> None:
    text = words_of("in Paris")
    logits = logits_of({"O": 9.0}, {"I-LOC": 3.0, "B-LOC": 2.5})
    assert found(DECODER.decode(text, logits)) == [("LOC", "Paris")]


def _is_legal(path: tuple[str, ...]) -> bool:
    before = ("O", *path)
    return all(
        not b.startswith("I-") or a in {b, "B" + b[1:]} for a, b in zip(before, path, strict=False)
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_the_path_is_the_best_of_all_legal_ones(seed: int, words: int) -> None:
    """Compared with trying every path."""
    labels = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    decoder = Decoder(labels)
    logits = np.random.default_rng(seed).normal(0, 2, (words + 2, 5)).astype(np.float32)
    text = words_of(" ".join("w" for _ in range(words)))
    inner = logits[1:-1].astype(np.float64)
    scores = inner - np.log(np.exp(inner).sum(axis=1, keepdims=True))
    best = max(
        (path for path in product(labels, repeat=words) if _is_legal(path)),
        key=lambda path: sum(scores[i, labels.index(label)] for i, label in enumerate(path)),
    )
    spans = [(label[2:], i) for i, label in enumerate(best) if label.startswith("B-")]
    entities = decoder.decode(text, [logits])
    assert [(e.label, e.start // 2) for e in entities] == spans
    assert sum(len(e.text.split()) for e in entities) == sum(label != "O" for label in best)


def test_the_score_is_the_mean_probability_of_the_words() -> None:
    text = words_of("Tim Cook")
    logits = logits_of({"B-PER": 3.0}, {"I-PER": 1.0})
    (entity,) = DECODER.decode(text, logits)
    others = len(LABELS) - 1
    each = [np.exp(3.0) / (np.exp(3.0) + others), np.exp(1.0) / (np.exp(1.0) + others)]
    assert entity.score == pytest.approx(sum(each) / 2)


PIECES = tokenized("Seoulites met", [(0, 5), (5, 9), (10, 13)], [0, 2])


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        (Aggregation.FIRST, [("LOC", "Seoulites")]),
        (Aggregation.AVERAGE, [("PER", "Seoulites")]),
        (Aggregation.MAX, [("PER", "Seoulites")]),
        (Aggregation.SIMPLE, [("LOC", "Seoul"), ("PER", "ites")]),
        (Aggregation.NONE, [("B-LOC", "Seoul"), ("B-PER", "ites")]),
    ],
)
def test_each_aggregation_reads_the_pieces_of_a_word_its_way(
    aggregation: Aggregation, expected: list[tuple[str, str]]
) -> None:
    logits = logits_of({"B-LOC": 2.0}, {"B-PER": 6.0}, {"O": 5.0})
    assert found(DECODER.decode(PIECES, logits, aggregation)) == expected


def test_simple_labels_the_tokens_of_one_character_as_the_first_of_them() -> None:
    """A syllable that is spelt, bytes of which one token holds the end of a letter and more."""
    text = "\ud55c \u00e9\u00e9 met"
    spans = [(0, 1), (0, 1), (0, 1), (2, 3), (2, 4), (3, 4), (5, 8)]
    logits = sure("B-LOC", "B-PER", "O", "B-ORG", "O", "B-PER", "O")
    entities = DECODER.decode(tokenized(text, spans, [0, 3, 6]), logits, Aggregation.SIMPLE)
    assert found(entities) == [("LOC", "\ud55c"), ("ORG", "\u00e9\u00e9")]


def test_combining_marks_stay_with_their_letter() -> None:
    text = "Jose\u0301 met"
    entities = DECODER.decode(tokenized(text, [(0, 4), (6, 9)], [0, 1]), sure("B-PER", "O"))
    assert found(entities) == [("PER", "Jose\u0301")]


def test_white_space_that_a_tokenizer_counts_to_a_word_is_left_out() -> None:
    entities = DECODER.decode(tokenized("in Seoul", [(0, 2), (2, 8)], [0, 1]), sure("O", "B-LOC"))
    assert [(e.start, e.text) for e in entities] == [(3, "Seoul")]


def test_each_window_speaks_for_what_it_owns() -> None:
    spans = [(0, 5), (6, 11), (12, 17)]
    windows = [
        Window(np.zeros(4, dtype=np.int64), slice(1, 3)),
        Window(np.zeros(4, dtype=np.int64), slice(2, 3)),
    ]
    text = TokenizedText("Paris Seoul Apple", spans, [0, 1, 2], windows)
    logits = [*sure("B-LOC", "O"), *sure("B-PER", "B-ORG")]
    assert found(DECODER.decode(text, logits)) == [("LOC", "Paris"), ("ORG", "Apple")]


def test_an_entity_goes_on_across_windows() -> None:
    windows = [Window(np.zeros(3, dtype=np.int64), slice(1, 2))] * 2
    text = TokenizedText("Tim Cook", [(0, 3), (4, 8)], [0, 1], windows)
    logits = [*sure("B-PER"), *sure("I-PER")]
    assert found(DECODER.decode(text, logits)) == [("PER", "Tim Cook")]


def test_a_text_without_tokens_has_no_entities() -> None:
    assert DECODER.decode(TokenizedText(" ", [], [], []), []) == []


def test_labels_without_prefixes_are_read_as_inside() -> None:
    decoder = Decoder(["O", "PER"])
    rows = np.array([[0, 0], [0, 9], [0, 9], [0, 0]], dtype=np.float32)
    assert found(decoder.decode(words_of("Tim Cook"), [rows])) == [("PER", "Tim Cook")]
    assert decoder.entity_types == ("PER",)


@pytest.mark.parametrize("labels", [["B-PER", "I-PER"], ["O", "B-PER", "B-PER"]])
def test_labels_that_cannot_be_decoded_are_refused(labels: list[str]) -> None:
    with pytest.raises(ModelInvalid):
        Decoder(labels)


@pytest.mark.parametrize("aggregation", [*Aggregation])
def test_a_model_says_which_of_its_entities_of_words_are_returned(aggregation: Aggregation) -> None:
    """Unless the caller says it; of tokens that are no words it knows nothing."""
    text = words_of("Tim met Paris")
    # Half and half with O, and sure.
    logits = logits_of({"B-PER": 9.0, "O": 8.99}, {"O": 9.0}, {"B-LOC": 20.0})
    decoder = Decoder(LABELS, min_score=0.6)
    of_words = aggregation not in (Aggregation.SIMPLE, Aggregation.NONE)
    for min_score, expected in (
        (None, ["Paris"] if of_words else ["Tim", "Paris"]),
        (0.0, ["Tim", "Paris"]),
        (0.4, ["Tim", "Paris"]),
        (0.7, ["Paris"]),
    ):
        found = decoder.decode(text, [logits[0]], aggregation, min_score)
        assert [entity.text for entity in found] == expected


@pytest.mark.parametrize("aggregation", [*Aggregation])
def test_a_model_says_that_the_occurrences_of_a_word_speak_for_each_other(
    aggregation: Aggregation,
) -> None:
    """Of words alone: Hugging Face's answers of tokens are those of its pipeline."""
    text = words_of("Rome is old and Rome is new")
    unsure, nothing = {"O": 20.0, "B-LOC": 19.7}, {"O": 20.0}
    logits = logits_of({"B-LOC": 20.0}, *[nothing] * 3, unsure, *[nothing] * 2)
    decoder = Decoder(LABELS, label_consistency=0.75)
    assert len(DECODER.decode(text, logits, aggregation)) == 1
    of_words = aggregation not in (Aggregation.SIMPLE, Aggregation.NONE)
    assert len(decoder.decode(text, logits, aggregation)) == (2 if of_words else 1)


def test_words_are_compared_as_they_are_written_with_no_space_before_them() -> None:
    """Sentencepiece counts it to the word."""
    text = tokenized("Rome or\nRo me", [(0, 4), (4, 7), (7, 10), (10, 13)], [0, 1, 2, 3])
    text = replace(text, text="Rome or Rome.", spans=[(0, 4), (4, 7), (7, 12), (12, 13)])
    logits = logits_of({"B-LOC": 20.0}, {"O": 20.0}, {"O": 20.0, "B-LOC": 19.7}, {"O": 20.0})
    decoder = Decoder(LABELS, label_consistency=0.75)
    assert found(decoder.decode(text, logits)) == [("LOC", "Rome"), ("LOC", "Rome")]
