"""What labels mean, scheme by scheme."""

import numpy as np
import pytest

from inference.core import TokenizedText, Window
from inference.decoding import Decoder
from inference.label_scheme import read_tags, transitions

TEXT = "a b c"
SPANS = [(0, 1), (2, 3), (4, 5)]


def decode(labels: list[str], *path: str, shadowed: str = "") -> list[tuple[str, str]]:
    """Entities of three words that are most certainly labelled so, label and text.

    Args:
        labels: of the model.
        path: the best label of each word.
        shadowed: the second best of every word.
    """
    logits = np.zeros((len(path), len(labels)), dtype=np.float32)
    for word, label in enumerate(path):
        logits[word, labels.index(label)] = 6
    if shadowed:
        logits[:, labels.index(shadowed)] += 3
    window = Window(np.arange(len(path)), slice(0, len(path)))
    tokenized = TokenizedText(TEXT, SPANS, list(range(len(path))), [window])
    return [(e.label, e.text) for e in Decoder(labels).decode(tokenized, [logits])]


BIOES = ["E-PER", "O", "S-PER", "I-PER", "B-PER", "B-LOC", "S-LOC", "E-LOC", "I-LOC"]
BILOU = ["O", "B-PER", "I-PER", "L-PER", "U-PER"]


@pytest.mark.parametrize(
    ("labels", "path", "entities"),
    [
        (["I-PER", "O", "B-PER"], ("B-PER", "I-PER", "B-PER"), [("PER", "a b"), ("PER", "c")]),
        (["O", "I-PER"], ("I-PER", "I-PER", "O"), [("PER", "a b")]),
        (["PER", "LOC", "O"], ("PER", "LOC", "LOC"), [("PER", "a"), ("LOC", "b c")]),
        (BIOES, ("B-PER", "I-PER", "E-PER"), [("PER", "a b c")]),
        (BIOES, ("S-PER", "S-PER", "S-LOC"), [("PER", "a"), ("PER", "b"), ("LOC", "c")]),
        (BIOES, ("B-PER", "E-PER", "S-PER"), [("PER", "a b"), ("PER", "c")]),
        (BIOES, ("B-PER", "O", "B-LOC"), [("PER", "a"), ("LOC", "c")]),
        (BILOU, ("B-PER", "L-PER", "U-PER"), [("PER", "a b"), ("PER", "c")]),
    ],
)
def test_a_path_in_each_scheme_gives_its_entities(
    labels: list[str], path: tuple[str, ...], entities: list[tuple[str, str]]
) -> None:
    assert decode(labels, *path) == entities


def test_a_word_after_the_last_of_an_entity_does_not_continue_it() -> None:
    """E-PER I-PER is illegal: the second word must be outside or begin anew."""
    assert decode(BIOES, "B-PER", "E-PER", "I-PER", shadowed="S-PER") == [
        ("PER", "a b"),
        ("PER", "c"),
    ]


def test_a_plain_label_that_looks_like_a_prefix_keeps_its_name() -> None:
    labels = ["O", "S-BAHN", "E-MAIL", "U-BAHN"]
    assert decode(labels, "S-BAHN", "E-MAIL", "O") == [("S-BAHN", "a"), ("E-MAIL", "b")]
    assert Decoder(labels).entity_types == ("S-BAHN", "E-MAIL", "U-BAHN")


def test_types_are_known_by_their_labels() -> None:
    decoder = Decoder(BIOES)
    assert decoder.entity_types == ("PER", "LOC")
    assert {decoder.entity_type(label) for label in BIOES} == {"PER", "LOC", "O"}
    assert decoder.entity_type("PER") == "PER"


def test_what_continues_may_not_come_first() -> None:
    tags = read_tags(BIOES)
    allowed, may_start = transitions(tags)
    firsts = {label for label, may in zip(BIOES, may_start, strict=True) if may}
    assert firsts == {"O", "S-PER", "B-PER", "B-LOC", "S-LOC"}
    index = BIOES.index
    assert allowed[index("B-PER"), index("E-PER")]
    assert not allowed[index("B-LOC"), index("E-PER")]
    assert not allowed[index("O"), index("I-PER")]
