"""What is labelled as one word."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.tokenization import Tokenizer
from tests.tiny_model import WINDOW_TOKENS, rust_tokenizer

TOKENIZER = Tokenizer(rust_tokenizer(), WINDOW_TOKENS)
_WORDY = st.lists(
    st.sampled_from(["_", "#", "a", "Paris", "7", ".", " ", "\n", "\u4e2d", "\u0301"])
)


def words(text: str) -> list[str]:
    """The characters of each word."""
    tokenized = TOKENIZER.tokenize(text)
    ends = [*tokenized.word_starts, len(tokenized.spans)]
    return [
        text[tokenized.spans[first][0] : tokenized.spans[last - 1][1]]
        for first, last in pairwise(ends)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("met xoxo_leah_ in", ["met", "xoxo_leah_", "in"]),
        ("@paris_07: in", ["@", "paris_07", ":", "in"]),
        ("__init__", ["__init__"]),
        ("a _ b", ["a", "_", "b"]),
        ("#Paris, #7", ["#Paris", ",", "#7"]),
        ("# Paris", ["#", "Paris"]),
        ("##Paris", ["#", "#Paris"]),
        ("#a_b", ["#a_b"]),
        ("C# in", ["C", "#", "in"]),
        ("C#a", ["C", "#", "a"]),
        ("#.", ["#", "."]),
    ],
)
def test_an_underscore_and_the_sign_of_a_tag_are_inside_of_words(
    text: str, expected: list[str]
) -> None:
    assert words(text) == expected


@pytest.mark.parametrize("text", ["O'Brien", "Jean-Luc", "Ann's", "U.S.", "AT&T", "a/b", "@a"])
def test_other_signs_are_words_of_their_own(text: str) -> None:
    assert len(words(text)) > 1


def test_only_what_stands_beside_an_underscore_is_joined_without_white_space() -> None:
    assert words("\u4e2d\u6587_\u4e2d\u6587") == ["\u4e2d", "\u6587_\u4e2d", "\u6587"]


@given(_WORDY)
def test_words_are_those_of_the_tokenizer_some_of_them_joined(parts: list[str]) -> None:
    text = "".join(parts)
    tokenized = TOKENIZER.tokenize(text)
    numbers = TOKENIZER.rust.encode(text, add_special_tokens=False).word_ids
    starts = {i for i, number in enumerate(numbers) if not i or number != numbers[i - 1]}
    assert starts.issuperset(tokenized.word_starts)
    for token in starts.difference(tokenized.word_starts):
        border = tokenized.spans[token][0]
        assert "_" in text[border - 1 : border + 1] or text[border - 1] == "#"
        assert not any(character.isspace() for character in text[border - 1 : border + 1])
