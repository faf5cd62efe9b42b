"""Texts as tokens that know their characters."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as RustTokenizer
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Metaspace

from inference.core import TokenizedText
from inference.errors import ModelInvalid
from inference.tokenization import Tokenizer
from tests.tiny_model import VOCABULARY, WINDOW_TOKENS, rust_tokenizer

TOKENIZER = Tokenizer(rust_tokenizer(), WINDOW_TOKENS)
PACKING = Tokenizer(rust_tokenizer(), WINDOW_TOKENS, passage_tokens=WINDOW_TOKENS)
_WORDY = st.lists(st.sampled_from(["Paris", "aab.", "met", "\n", "x\u0301", "\U0001f600"]))


def owned_pieces(text: TokenizedText) -> list[str]:
    """The pieces that the windows own, in order."""
    return [VOCABULARY[i] for window in text.windows for i in window.ids[window.owned]]


def test_a_short_text_is_one_window_with_the_special_tokens_around_it() -> None:
    text = TOKENIZER.tokenize("Angela met")
    (window,) = text.windows
    assert [VOCABULARY[i] for i in window.ids] == ["[CLS]", "angela", "met", "[SEP]"]
    assert window.ids.dtype == np.int64
    assert owned_pieces(text) == ["angela", "met"]
    assert text.spans == [(0, 6), (7, 10)]


def test_words_start_at_their_first_piece() -> None:
    text = TOKENIZER.tokenize("ab, seoul")
    assert owned_pieces(text) == ["a", "##b", ",", "seoul"]
    assert text.word_starts == [0, 2, 3]


def test_long_text_is_cut_into_windows_that_own_each_token_once() -> None:
    words = ["met", "in", "the", "paris", "of"] * 20
    text = TOKENIZER.tokenize(" ".join(words))
    assert len(text.windows) > 6
    assert owned_pieces(text) == words
    assert max(len(window.ids) for window in text.windows) <= WINDOW_TOKENS


def test_a_text_that_fits_is_seen_whole() -> None:
    assert len(TOKENIZER.tokenize("Paris met Seoul. Tim met Apple.").windows) == 1


def test_the_windows_of_a_long_text_are_its_sentences() -> None:
    text = TOKENIZER.tokenize("Angela Merkel met Tim Cook of Apple. Paris. " * 3)
    ends = [[VOCABULARY[i] for i in window.ids[1:-1]][-1] for window in text.windows]
    assert len(ends) == 6
    assert set(ends) == {"."}


def shown(tokenizer: Tokenizer, text: str) -> list[str]:
    """What each window shows the model."""
    return [
        " ".join(VOCABULARY[i] for i in window.ids[1:-1])
        for window in tokenizer.tokenize(text).windows
    ]


def test_windows_of_a_model_that_reads_passages_hold_as_many_sentences_as_fit() -> None:
    """There is room for 14 tokens."""
    five, three = "Angela met Tim Cook.", "Tim met Paris."
    window = "angela met tim cook . tim met paris . tim met paris ."
    assert shown(PACKING, f"{five} {three} {three} {five} {three}") == [
        window,
        "angela met tim cook . tim met paris .",
    ]
    assert shown(PACKING, f"{five} {five} {three} {three}") == [
        "angela met tim cook . angela met tim cook . tim met paris .",
        "tim met paris .",
    ]


def test_a_window_of_sentences_is_filled_to_its_last_token() -> None:
    assert WINDOW_TOKENS - 2 == 14
    fills, longer = "Met met met met met met.", "Met met met met met met met."
    assert shown(PACKING, f"{fills} {fills} Paris.") == [
        "met met met met met met . met met met met met met .",
        "paris .",
    ]
    assert len(shown(PACKING, f"{fills} {longer} Paris.")) == 2


def test_a_sentence_longer_than_a_window_shares_none_with_others() -> None:
    found = shown(PACKING, "Tim met Paris. " + "Met " * 30 + "Apple. Tim met Paris.")
    assert found[0] == found[-1] == "tim met paris ."
    assert len(found) > 4
    assert not any("." in window for window in found[1:-2])


@pytest.mark.parametrize("text", ["", " ", "\r\n\t", "\u200b\u200d", "\x00"])
def test_text_without_a_token_has_no_window(text: str) -> None:
    assert TOKENIZER.tokenize(text).windows == []


def test_a_sentence_keeps_its_first_word_where_tokens_hold_the_space_before_them() -> None:
    words = ["▁Paris", "▁met", "▁Seoul", "."]
    rust = RustTokenizer(Unigram([("[UNK]", 0.0), *((word, -1.0) for word in words)], 0, False))
    rust.pre_tokenizer = Metaspace()
    text = Tokenizer(rust, 8).tokenize("Paris met Seoul. Seoul met Paris. Paris met Paris.")
    assert [[rust.id_to_token(i) for i in window.ids[window.owned]] for window in text.windows] == [
        ["▁Paris", "▁met", "▁Seoul", "."],
        ["▁Seoul", "▁met", "▁Paris", "."],
        ["▁Paris", "▁met", "▁Paris", "."],
    ]


def test_special_tokens_in_a_text_are_text() -> None:
    pieces = owned_pieces(TOKENIZER.tokenize("a [SEP] b"))
    assert "[SEP]" not in pieces


@given(st.one_of(st.text(st.characters(exclude_categories=["Cs"])), _WORDY.map(" ".join)))
@pytest.mark.parametrize("tokenizer", [TOKENIZER, PACKING], ids=["sentences", "packed"])
def test_tokens_lie_in_the_text_in_order_for_any_text(tokenizer: Tokenizer, text: str) -> None:
    tokenized = tokenizer.tokenize(text)
    assert all(0 <= start <= end <= len(text) for start, end in tokenized.spans)
    starts = [start for start, _ in tokenized.spans]
    assert starts == sorted(starts)
    assert sum(w.owned.stop - w.owned.start for w in tokenized.windows) == len(starts)


def test_threads_share_one_tokenizer() -> None:
    """A tokenizer whose settings change per call raises "Already borrowed" here."""
    texts = ["Angela met Tim in Paris. " * n for n in range(1, 60)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(TOKENIZER.tokenize, texts))
    assert [owned_pieces(t) for t in together] == [
        owned_pieces(TOKENIZER.tokenize(t)) for t in texts
    ]


def test_padding_and_truncation_of_the_file_are_switched_off(tmp_path: Path) -> None:
    stored = rust_tokenizer()
    stored.enable_truncation(8)
    stored.enable_padding(length=64)
    stored.save(str(tmp_path / "tokenizer.json"))
    text = Tokenizer.load(tmp_path / "tokenizer.json", 512).tokenize("met " * 30)
    assert len(text.windows[0].ids) == 32


@pytest.mark.parametrize("content", [None, "not JSON", "{}"])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ModelInvalid, match=r"tokenizer\.json"):
        Tokenizer.load(path, 512)
