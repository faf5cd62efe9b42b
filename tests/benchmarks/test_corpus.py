"""The texts of the benchmark have the lengths that they promise, for the shipped tokenizer."""

from collections.abc import Sequence

import numpy as np
import pytest
from tokenizers import Tokenizer

from benchmarks.corpus import CORPORA, mixed, sentences
from tests import shipped


def _tokens(texts: Sequence[str]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    tokenizer = Tokenizer.from_file(str(shipped.FOLDER / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return np.array([len(tokenizer.encode(text, add_special_tokens=False)) for text in texts])


def test_sentences_are_as_long_as_those_of_newspapers() -> None:
    """21 tokens on average, most of them between 5 and 70, long ones seldom."""
    tokens = _tokens(sentences(2_000, seed=1))
    assert 20 <= tokens.mean() <= 22
    assert 8 <= tokens.std() <= 13
    low, high = np.percentile(tokens, [0.5, 99.5])
    assert low >= 3
    assert 45 <= high <= 70
    assert np.median(tokens) < tokens.mean()


def test_mixed_texts_reach_from_a_headline_to_a_page_evenly_over_the_orders() -> None:
    tokens = _tokens(mixed(2_000, seed=1))
    assert np.percentile(tokens, 1) >= 6
    assert 380 <= tokens.max() <= 430
    octaves, _ = np.histogram(tokens, bins=[12, 24, 48, 96, 192, 384])
    assert octaves.min() > 0.8 * octaves.max()


@pytest.mark.parametrize("corpus", CORPORA.values())
def test_a_seed_makes_the_same_texts_and_another_one_others(corpus: object) -> None:
    assert callable(corpus)
    assert corpus(50, 1) == corpus(50, 1)
    assert corpus(50, 1) != corpus(50, 2)


def test_hardly_any_sentence_comes_twice() -> None:
    texts = sentences(2_000, seed=1)
    assert len(set(texts)) > 0.95 * len(texts)


def test_no_slot_is_left_open() -> None:
    assert not any(set(text) & set("{}_") for text in [*sentences(2_000, 1), *mixed(200, 1)])
