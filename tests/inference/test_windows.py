"""Where long sentences are cut."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from inference.windows import Cut, cut


def _always(_: int) -> bool:
    return True


@given(st.data())
def test_every_token_is_owned_once_and_every_window_fits(data: st.DataObject) -> None:
    capacity = data.draw(st.integers(1, 40))
    overlap = data.draw(st.integers(0, max(0, (capacity - 1) // 2)))
    first = data.draw(st.integers(0, 50))
    tokens = data.draw(st.integers(1, 300))
    begins = data.draw(st.lists(st.booleans(), min_size=tokens, max_size=tokens))
    cuts = cut(first, first + tokens, capacity, overlap, lambda i: begins[i - first])
    assert cuts[0].own_start == first
    assert cuts[-1].own_end == first + tokens
    for one, following in pairwise(cuts):
        assert one.own_end == following.own_start
        assert one.start < following.start
    for one in cuts:
        assert 0 < one.end - one.start <= capacity
        assert one.start <= one.own_start < one.own_end <= one.end


@given(st.integers(1, 2000), st.integers(8, 64))
def test_long_sentences_take_at_most_twice_the_windows_they_need(
    tokens: int, capacity: int
) -> None:
    cuts = cut(0, tokens, capacity, capacity // 8, _always)
    assert len(cuts) <= 2 * -(-tokens // capacity)


def test_a_sentence_that_fits_is_one_window() -> None:
    assert cut(5, 15, 10, 2, _always) == [Cut(5, 15, 5, 15)]


def test_neighbours_share_context_on_both_sides_of_the_border() -> None:
    first, second = cut(0, 16, 10, 4, _always)
    assert first == Cut(0, 10, 0, 8)
    assert second == Cut(6, 16, 8, 16)


def test_no_window_owns_a_part_of_a_word() -> None:
    word_starts = {0, 3, 6, 9, 12, 15, 18}
    cuts = cut(0, 20, 10, 4, word_starts.__contains__)
    assert len(cuts) > 1
    assert all(one.own_start in word_starts for one in cuts)


def test_a_word_longer_than_a_window_is_cut_all_the_same() -> None:
    cuts = cut(0, 25, 10, 4, lambda _: False)
    assert cuts[-1].own_end == 25
