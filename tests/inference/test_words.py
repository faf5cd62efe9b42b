"""What is labelled as one word."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.repository import Model
from inference.tokenization import Tokenizer
from inference.words import joined_words
from tests.tiny_model import WINDOW_TOKENS, rust_tokenizer

TOKENIZER = Tokenizer(rust_tokenizer(), WINDOW_TOKENS)
JOINING = Tokenizer(rust_tokenizer(), WINDOW_TOKENS, joined_words=True)
_WORDY = st.lists(
    st.sampled_from(
        ["_", "#", "a", "Paris", "7", ".", "-", "&", "'s", "\u2019", " ", "\n", "\u4e2d", "\u0301"]
    )
)


def words(text: str, tokenizer: Tokenizer = TOKENIZER) -> list[str]:
    """The characters of each word."""
    tokenized = tokenizer.tokenize(text)
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jean-Luc's a-b, a-b.", ["Jean-Luc", "'", "s", "a-b", ",", "a-b", "."]),
        ("a.b a/b a:b 7,7", ["a", ".", "b", "a", "/", "b", "a", ":", "b", "7", ",", "7"]),
        ("O\u2019Brien\u2019s AT&T", ["O\u2019Brien", "\u2019", "s", "AT&T"]),
        ("Paris-a--b (a+b) -a", ["Paris-a--b", "(", "a+b", ")", "-", "a"]),
        ("'s-a Paris's-a", ["'", "s-a", "Paris", "'", "s-a"]),
        ("a - b", ["a", "-", "b"]),
        ('a"b a(b', ["a", '"', "b", "a", "(", "b"]),
        ("#Paris-a xoxo_leah", ["#Paris-a", "xoxo_leah"]),
        ("\u4e2d\u6587-\u4e2d\u6587", ["\u4e2d", "\u6587-\u4e2d", "\u6587"]),
    ],
)
def test_a_model_may_have_words_with_signs_within(text: str, expected: list[str]) -> None:
    assert words(text, JOINING) == expected


def test_a_word_with_a_sign_within_is_labelled_by_its_first_token(model: Model) -> None:
    model = replace(model, tokenizer=JOINING)
    tokenized = model.tokenizer.tokenize("a Paris-b-Seoul, Seoul-a")
    (window,) = tokenized.windows
    ids = window.ids[None]
    logits = model.session.run(ids, np.ones_like(ids))[0]
    found = model.decoder.decode(tokenized, [logits])
    assert [entity.text for entity in found] == ["Paris-b-Seoul", "Seoul-a"]


@pytest.mark.parametrize("part", ["a", "a-", "a--", "-", "a's"])
def test_the_longest_words_take_no_longer(part: str) -> None:
    """Looked for from each letter on, these would take hours."""
    assert len([*joined_words(part * 500_000)]) == (len(part) > 1)


@given(_WORDY)
def test_joined_words_are_words_some_of_them_joined_at_signs(parts: list[str]) -> None:
    text = "".join(parts)
    plain, joined = TOKENIZER.tokenize(text), JOINING.tokenize(text)
    assert set(joined.word_starts) <= set(plain.word_starts)
    for token in set(plain.word_starts) - set(joined.word_starts):
        border = plain.spans[token][0]
        beside = text[border - 1 : border + 1]
        assert any(sign in beside for sign in "-&'\u2019")
        assert not any(character.isspace() for character in beside)


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
