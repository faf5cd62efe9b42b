import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.columns import LabelledSpan, Rows, align, has_words, words_of


def _span(text: str, part: str, label: str) -> LabelledSpan:
    start = text.index(part)
    return LabelledSpan(start, start + len(part), label)


@pytest.mark.parametrize(
    ("text", "parts", "words", "tags"),
    [
        ("I love Paris", {"Paris": "LOC"}, "I love Paris ", "O O    B-LOC "),
        ("I love Paris.", {"Paris": "LOC"}, "I love Paris ", "O O    B-LOC "),
        ("Tim Cook, (Apple)!", {"Tim Cook": "PER", "Apple": "ORG"},
         "Tim   Cook  Apple ", "B-PER I-PER B-ORG "),
        ("The U.S. won", {"U.S.": "LOC"}, "The US    won ", "O   B-LOC O   "),
        ("  Paris  ", {"Paris": "LOC"}, "Paris ", "B-LOC "),
    ],
)  # fmt: skip
def test_words_stand_over_their_tags(
    text: str, parts: dict[str, str], words: str, tags: str
) -> None:
    entities = [_span(text, part, label) for part, label in parts.items()]
    assert align(text, entities) == Rows(words, tags)


def test_two_spaces_make_an_empty_word_as_the_demo_did() -> None:
    assert align("a  b", []) == Rows("a   b ", "O O O ")


def test_an_empty_word_inside_an_entity_is_outside_of_it() -> None:
    rows = align("New  York", [LabelledSpan(0, 9, "LOC")])
    assert rows == Rows("New     York  ", "B-LOC O I-LOC ")


@pytest.mark.parametrize("text", ["", " ", "\t\n", "...", " . "])
def test_a_text_without_words_has_one_empty_column(text: str) -> None:
    assert align(text, []) == Rows("  ", "O ")
    assert not has_words(text)


@pytest.mark.parametrize("part", ["a ", " ", " ."])
def test_whether_a_long_text_has_words_is_said_without_taking_it_apart(part: str) -> None:
    """Only a text that inference has taken, which bounds them, is worth a list of its words."""
    text = part * 100_000
    tracemalloc.start()
    try:
        if not has_words(text):
            align(text, [])
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 10_000


def test_a_word_of_two_entities_takes_the_first_and_the_second_still_begins() -> None:
    text = "Bonn,Kiel Ost"
    entities = [LabelledSpan(0, 4, "LOC"), LabelledSpan(5, 13, "LOC")]
    assert align(text, entities).tags == "B-LOC    B-LOC "


def test_an_entity_that_ends_with_a_space_does_not_tag_the_next_word() -> None:
    assert align("New York", [LabelledSpan(0, 4, "LOC")]).tags == "B-LOC O    "


def test_neighbouring_entities_each_begin() -> None:
    text = "Rome Paris"
    entities = [LabelledSpan(0, 4, "LOC"), LabelledSpan(5, 10, "LOC")]
    assert align(text, entities).tags == "B-LOC B-LOC "


_TEXTS = st.text(st.sampled_from("aB,?. :;!()[]\n\t\x1c\xa0é😀"), max_size=40)


@given(_TEXTS)
def test_every_word_stands_where_its_characters_come_from(text: str) -> None:
    for word in words_of(text):
        original = text[word.start : word.end]
        assert "".join(c for c in original if c not in ",?.:;!()[]") == word.text


@given(_TEXTS, st.lists(st.integers(0, 40), max_size=8, unique=True))
def test_columns_line_up(text: str, cuts: list[int]) -> None:
    """Rows are equally long, and cutting both at the columns gives back words and tags."""
    cuts = sorted(min(cut, len(text)) for cut in cuts)
    entities = [
        LabelledSpan(start, end, "PER")
        for start, end in zip(cuts[::2], cuts[1::2], strict=False)
        if start < end
    ]
    rows = align(text, entities)
    assert len(rows.words) == len(rows.tags)
    cursor = 0
    for word in words_of(text):
        tag = rows.tags[cursor:].split(" ", 1)[0]
        assert tag in {"O", "B-PER", "I-PER"}
        width = max(len(word.text), len(tag)) + 1
        assert rows.words[cursor : cursor + width] == word.text.ljust(width)
        assert rows.tags[cursor : cursor + width] == tag.ljust(width)
        cursor += width
    assert cursor == len(rows.words)


@given(_TEXTS)
def test_the_words_are_those_of_the_demos_rule(text: str) -> None:
    kept = text
    for removed in ",?.:;!()[]":
        kept = kept.replace(removed, "")
    assert [word.text for word in words_of(text)] == kept.strip().split(" ")
    assert has_words(text) == bool(kept.strip())
