"""Text to tokens that know their characters, in windows that fit the model."""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Self

import numpy as np
from tokenizers import Tokenizer as RustTokenizer

from inference.core import TokenizedText, Window
from inference.errors import ModelInvalid
from inference.sentences import line_starts, sentence_starts
from inference.windows import Cut, cut
from inference.words import word_starts

# Half a window is the most that neighbours may share; an eighth leaves each owned token of a
# window of 128 at least 7 tokens of context on both sides.
_OVERLAP_SHARE = 8


class Tokenizer:
    """A tokenizer that is configured once and never changed, so that threads may share it.

    (A `tokenizers` object whose padding or truncation changes while another thread encodes raises
    "Already borrowed".)

    Args:
        tokenizer: becomes this object's own; padding and truncation are switched off.
        window_tokens: most tokens in a window, special tokens included.
        model_tokens: most tokens that the model takes, special tokens included; none: a window.
        joined_words: whether a sign within a word ends none (`inference.words`).
        passage_tokens: most in a window that holds as many sentences of a long text as fit, in
            place of `window_tokens`; 0: each of its windows is a sentence.
    """

    def __init__(
        self,
        tokenizer: RustTokenizer,
        window_tokens: int,
        model_tokens: int | None = None,
        *,
        joined_words: bool = False,
        passage_tokens: int = 0,
    ) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        # "[SEP]" in a user's text is text, not a separator.
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        self._prefix, self._suffix = _special_ids(tokenizer)
        self.window_tokens = passage_tokens or window_tokens
        self.model_tokens = model_tokens or self.window_tokens
        self.joined_words = joined_words
        self._packs = passage_tokens > 0
        self._capacity = self.window_tokens - len(self._prefix) - len(self._suffix)
        if self._capacity < 1:
            raise ModelInvalid(f"a window of {self.window_tokens} tokens leaves no room for text")

    @classmethod
    def load(
        cls,
        path: Path,
        window_tokens: int,
        model_tokens: int | None = None,
        *,
        joined_words: bool = False,
        passage_tokens: int = 0,
    ) -> Self:
        """Reads a Hugging Face `tokenizer.json`.

        Args:
            path: the file.
            window_tokens: most tokens in a window, special tokens included.
            model_tokens: most tokens that the model takes, special tokens included; none: a window.
            joined_words: whether a sign within a word ends none (`inference.words`).
            passage_tokens: most in a window that holds as many sentences of a long text as fit, in
                place of `window_tokens`; 0: each of its windows is a sentence.

        Raises:
            ModelInvalid: the file is missing or not a tokenizer.
        """
        try:
            tokenizer = RustTokenizer.from_str(path.read_text("utf-8"))
        except OSError as error:
            raise ModelInvalid(f"{path.name}: {error.strerror}") from error
        except Exception as error:  # the Rust binding raises a bare Exception
            raise ModelInvalid(f"{path.name}: not a tokenizer: {error}") from error
        return cls(
            tokenizer,
            window_tokens,
            model_tokens,
            joined_words=joined_words,
            passage_tokens=passage_tokens,
        )

    @property
    def rust(self) -> RustTokenizer:
        """What encodes; to read from, never to change."""
        return self._tokenizer

    @property
    def special_ids(self) -> tuple[list[int], list[int]]:
        """The special tokens before and after a text."""
        return self._prefix, self._suffix

    def tokenize(self, text: str) -> TokenizedText:
        """Cuts a text into tokens and those into windows; nothing is left out.

        A text that fits is one window. In a longer one each sentence is a window, or several
        where it is longer than one, for a model that was trained on sentences: a document then
        gives what its sentences give (docs/adr/0006). For one that was trained on passages a window
        holds as many sentences as fit (docs/adr/0036).

        Args:
            text: any text without lone surrogates.

        Returns:
            Its tokens and windows; no window when the text holds no token.
        """
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        ids, spans, words = encoding.ids, encoding.offsets, encoding.word_ids
        if not ids:
            return TokenizedText(text, [], [], [])
        windows = [
            self._window(ids, one)
            for sentence in pairwise(self._borders(text, spans))
            for one in cut(
                *sentence,
                self._capacity,
                self._capacity // _OVERLAP_SHARE,
                lambda i: words[i] != words[i - 1],
            )
        ]
        anew = _tokens_at(line_starts(text), spans)
        starts = word_starts(text, spans, words, joined=self.joined_words)
        return TokenizedText(text, spans, starts, windows, anew)

    def _window(self, ids: list[int], one: Cut) -> Window:
        shift = len(self._prefix) - one.start
        return Window(
            np.array(self._prefix + ids[one.start : one.end] + self._suffix, dtype=np.int64),
            slice(one.own_start + shift, one.own_end + shift),
        )

    def _borders(self, text: str, spans: list[tuple[int, int]]) -> list[int]:
        """The first token of each part that is cut by itself, and the end of the last."""
        if len(spans) <= self._capacity:
            return [0, len(spans)]
        borders = [0, *_tokens_at(sentence_starts(text), spans), len(spans)]
        return _packed(borders, self._capacity) if self._packs else borders


def _packed(borders: list[int], capacity: int) -> list[int]:
    """Leaves out borders, first to last, of parts that fit in a window together."""
    kept = borders[:1]
    for border, following in pairwise(borders[1:]):
        if following - kept[-1] > capacity:
            kept.append(border)
    return [*kept, borders[-1]]


def _tokens_at(places: Iterable[int], spans: list[tuple[int, int]]) -> list[int]:
    """The tokens at or after some characters, each once, without the first of the text."""
    tokens: list[int] = []
    for place in places:
        # By ends: some tokenizers count the space before a word to it.
        token = bisect_right(spans, place, lo=tokens[-1] if tokens else 0, key=itemgetter(1))
        if (tokens[-1] if tokens else 0) < token < len(spans):
            tokens.append(token)
    return tokens


def _special_ids(tokenizer: RustTokenizer) -> tuple[list[int], list[int]]:
    """The special tokens that the model expects before and after a text."""
    bare = tokenizer.encode("a", add_special_tokens=False).ids
    full = tokenizer.encode("a", add_special_tokens=True).ids
    for shift in range(len(full) - len(bare) + 1):
        if full[shift : shift + len(bare)] == bare:
            return full[:shift], full[shift + len(bare) :]
    raise ModelInvalid("tokenizer.json: its post-processor changes the tokens of the text")
