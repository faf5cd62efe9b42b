"""Where long texts are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.windows import Cut, Edge, cut, edge


def _words(_: int) -> Edge:
    return Edge.WORD


@given(st.data())
def test_every_token_is_owned_once_and_every_window_fits(data: st.DataObject) -> None:
    capacity = data.draw(st.integers(1, 40))
    overlap = data.draw(st.integers(0, max(0, (capacity - 1) // 2)))
    tokens = data.draw(st.integers(1, 300))
    edges = data.draw(st.lists(st.sampled_from(Edge), min_size=tokens, max_size=tokens))
    cuts = cut(tokens, capacity, overlap, lambda i: edges[i])
    assert cuts[0].own_start == 0
    assert cuts[-1].own_end == tokens
    for one, following in pairwise(cuts):
        assert one.own_end == following.own_start
    for one in cuts:
        assert 0 < one.end - one.start <= capacity
        assert one.start <= one.own_start < one.own_end <= one.end


@given(st.integers(1, 2000), st.integers(8, 64))
def test_long_texts_take_at_most_twice_the_windows_they_need(tokens: int, capacity: int) -> None:
    cuts = cut(tokens, capacity, capacity // 8, _words)
    assert len(cuts) <= 2 * -(-tokens // capacity)


def test_a_text_that_fits_is_one_window() -> None:
    assert cut(10, 10, 2, _words) == [Cut(0, 10, 0, 10)]


def test_a_cut_at_the_end_of_a_sentence_needs_no_overlap() -> None:
    cuts = cut(12, 10, 4, lambda i: Edge.SENTENCE if i == 7 else Edge.WORD)
    assert cuts == [Cut(0, 7, 0, 7), Cut(7, 12, 7, 12)]


def test_the_last_sentence_that_fits_is_taken() -> None:
    cuts = cut(12, 10, 4, lambda i: Edge.SENTENCE if i in {6, 9} else Edge.WORD)
    assert cuts[0] == Cut(0, 9, 0, 9)


def test_a_sentence_that_ends_in_the_first_half_is_not_worth_a_window() -> None:
    cuts = cut(12, 10, 4, lambda i: Edge.SENTENCE if i == 2 else Edge.WORD)
    assert cuts[0].end == 10


def test_without_sentences_neighbours_share_context_on_both_sides_of_the_border() -> None:
    first, second = cut(16, 10, 4, _words)
    assert first == Cut(0, 10, 0, 8)
    assert second == Cut(6, 16, 8, 16)


def test_no_window_owns_a_part_of_a_word() -> None:
    word_starts = {0, 3, 6, 9, 12, 15, 18}
    cuts = cut(20, 10, 4, lambda i: Edge.WORD if i in word_starts else Edge.NONE)
    assert all(one.own_start in word_starts for one in cuts)


def test_a_word_longer_than_a_window_is_cut_all_the_same() -> None:
    cuts = cut(25, 10, 4, lambda _: Edge.NONE)
    assert cuts[-1].own_end == 25


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one|two", Edge.WORD),
        ("He left.| She stayed", Edge.SENTENCE),
        ("He left?| She stayed", Edge.SENTENCE),
        ('"He left."| She stayed', Edge.SENTENCE),
        ("He left (at last.)| She stayed", Edge.SENTENCE),
        ("about 3.| of them", Edge.WORD),
        ("Mr.| Smith", Edge.WORD),
        ("J.| Smith", Edge.WORD),
        ("nerve.|py", Edge.WORD),
        ("title|\nbody", Edge.SENTENCE),
        ("title|\r\nbody", Edge.SENTENCE),
        ("\u6771\u4eac\u3002|\u6b21", Edge.SENTENCE),
        ("...|", Edge.WORD),
    ],
)
def test_sentences_end_where_a_reader_would_say(text: str, expected: Edge) -> None:
    before, after = text.split("|")
    whole = before + after
    start = len(before) + len(after) - len(after.lstrip())
    if start == len(whole):
        whole += "x"
    spans = [(0, len(before)), (start, len(whole))]
    assert edge(whole, spans, frozenset({0, 1}), 1) == expected


def test_between_the_pieces_of_a_word_there_is_no_edge() -> None:
    assert edge("ab", [(0, 1), (1, 2)], frozenset({0}), 1) == Edge.NONE
