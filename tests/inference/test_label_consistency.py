"""What the occurrences of a word in a text say of each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.label_consistency import consistent

# O, B-PER, I-PER, B-LOC.
TYPES = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]], np.float32)


def scores_of(*probabilities: tuple[float, ...]) -> NDArray[np.float32]:
    return np.log(np.array(probabilities, np.float32))


def probabilities_of(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    exponentials = np.exp(scores.astype(np.float64))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def test_an_occurrence_goes_a_share_of_the_way_to_the_mean_of_all() -> None:
    """Half of the weight, for there are two: in logarithms, a fourth of the way.

    Of the types the one has 6, 2 and 2 tenths and the other 2, 2 and 6; the squares are in sum
    40, 8 and 40 of 88 parts.
    """
    scores = scores_of((0.6, 0.1, 0.1, 0.2), (0.2, 0.1, 0.1, 0.6))
    first, second = np.exp(consistent(scores, ["Rome", "Rome"], TYPES, 0.5))
    assert first == pytest.approx(
        [
            0.6 * (40 / 88 / 0.6) ** 0.25,
            0.1 * (8 / 88 / 0.2) ** 0.25,
            0.1 * (8 / 88 / 0.2) ** 0.25,
            0.2 * (40 / 88 / 0.2) ** 0.25,
        ],
        rel=1e-5,
    )
    assert second == pytest.approx(first[[3, 1, 2, 0]], rel=1e-5)


def test_the_more_occurrences_the_more_they_weigh() -> None:
    unsure, sure = (0.5, 0.01, 0.01, 0.48), (0.01, 0.01, 0.01, 0.97)
    shares = [
        probabilities_of(
            consistent(scores_of(unsure, *[sure] * others), ["Rome"] * (others + 1), TYPES, 0.75)
        )[0, 3]
        for others in (1, 2, 5)
    ]
    assert 0.5 < shares[0] < shares[1] < shares[2]


def test_whether_a_name_begins_each_knows_for_itself() -> None:
    scores = scores_of((0.5, 0.1, 0.3, 0.1), (0.01, 0.97, 0.01, 0.01))
    moved = probabilities_of(consistent(scores, ["Neal", "Neal"], TYPES, 0.75))
    assert moved[0, 2] / moved[0, 1] == pytest.approx(3)
    assert moved[0, 2] > 0.3


@pytest.mark.parametrize(
    "words",
    [
        ["Rome", "Paris"],
        ["rome", "rome"],
        ["Rome", "ROME"],
        ["A", "A"],
        [" A", " A"],
        ["東京", "東京"],
        [],
    ],
)
def test_what_is_no_repeated_word_with_a_capital_stays(words: list[str]) -> None:
    scores = scores_of(*[(0.6, 0.1, 0.1, 0.2), (0.2, 0.1, 0.1, 0.6)][: len(words)])
    assert consistent(scores, words, TYPES, 0.75) is scores


def test_other_words_and_the_scores_that_were_given_stay() -> None:
    scores = scores_of((0.6, 0.1, 0.1, 0.2), (0.1, 0.7, 0.1, 0.1), (0.2, 0.1, 0.1, 0.6))
    before = scores.copy()
    moved = consistent(scores, ["Rome", "Tim", "Rome"], TYPES, 0.75)
    assert (moved[1] == scores[1]).all()
    assert (moved[[0, 2]] != scores[[0, 2]]).any()
    assert (scores == before).all()


@given(
    st.lists(
        st.tuples(st.sampled_from(["Rome", "Tim", "Éva", "it"]), st.integers(0, 3)), max_size=9
    ),
    st.floats(0, 1),
    st.floats(-1e4, 1e4, width=32),
)
def test_what_all_are_sure_of_stays_the_likeliest(
    said: list[tuple[str, int]], weight: float, constant: float
) -> None:
    """Whatever the constant of each word's logarithms, and however sure the model is."""
    of_word: dict[str, int] = {}
    said = [(word, of_word.setdefault(word, label)) for word, label in said]
    scores = np.full((len(said), len(TYPES)), constant - 30, np.float32)
    for row, (_, label) in zip(scores, said, strict=True):
        row[label] = constant
    moved = consistent(scores, [word for word, _ in said], TYPES, weight)
    assert moved.dtype == np.float32
    assert np.isfinite(moved).all()
    assert moved.argmax(axis=1).tolist() == [label for _, label in said]


def test_occurrences_that_say_the_same_become_surer_of_it() -> None:
    """Of a type, which two labels may share: together they were the likelier ones all along."""
    unsure = (0.40, 0.31, 0.28, 0.01)
    moved = probabilities_of(consistent(scores_of(*[unsure] * 20), ["Neal"] * 20, TYPES, 0.75))
    assert (moved[:, 1:3].sum(axis=1) > 0.65).all()
    assert (moved.argmax(axis=1) == 1).all()
