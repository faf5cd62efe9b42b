"""Text to tokens that know their characters, in windows that fit the model."""

from pathlib import Path
from typing import Self

import numpy as np
from tokenizers import Tokenizer as RustTokenizer

from inference.core import TokenizedText, Window
from inference.errors import ModelInvalid
from inference.windows import cut, edge

# Half a window is the most that neighbours may share; an eighth leaves 16 tokens of context on
# each side of a cut in a window of 256.
_OVERLAP_SHARE = 8


class Tokenizer:
    """A tokenizer that is configured once and never changed, so that threads may share it.

    (A `tokenizers` object whose padding or truncation changes while another thread encodes raises
    "Already borrowed".)

    Args:
        tokenizer: becomes this object's own; padding and truncation are switched off.
        window_tokens: most tokens in a window, special tokens included.
    """

    def __init__(self, tokenizer: RustTokenizer, window_tokens: int) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        # "[SEP]" in a user's text is text, not a separator.
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        self._prefix, self._suffix = _special_ids(tokenizer)
        self.window_tokens = window_tokens
        self._capacity = window_tokens - len(self._prefix) - len(self._suffix)
        if self._capacity < 1:
            raise ModelInvalid(f"a window of {window_tokens} tokens leaves no room for text")

    @classmethod
    def load(cls, path: Path, window_tokens: int) -> Self:
        """Reads a Hugging Face `tokenizer.json`.

        Args:
            path: the file.
            window_tokens: most tokens in a window, special tokens included.

        Raises:
            ModelInvalid: the file is missing or not a tokenizer.
        """
        try:
            tokenizer = RustTokenizer.from_str(path.read_text("utf-8"))
        except OSError as error:
            raise ModelInvalid(f"{path.name}: {error.strerror}") from error
        except Exception as error:  # the Rust binding raises a bare Exception
            raise ModelInvalid(f"{path.name}: not a tokenizer: {error}") from error
        return cls(tokenizer, window_tokens)

    def tokenize(self, text: str) -> TokenizedText:
        """Cuts a text into tokens and those into windows; nothing is left out.

        Args:
            text: any text without lone surrogates.

        Returns:
            Its tokens and windows; no window when the text holds no token.
        """
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        ids, spans, words = encoding.ids, encoding.offsets, encoding.word_ids
        if not ids:
            return TokenizedText(text, [], [], [])
        word_starts = [0]
        word_starts += [i for i in range(1, len(words)) if words[i] != words[i - 1]]
        if len(ids) <= self._capacity:
            windows = [self._window(ids, 0, len(ids))]
        else:
            starts = frozenset(word_starts)
            windows = [
                self._window(ids[c.start : c.end], c.own_start - c.start, c.own_end - c.start)
                for c in cut(
                    len(ids),
                    self._capacity,
                    self._capacity // _OVERLAP_SHARE,
                    lambda i: edge(text, spans, starts, i),
                )
            ]
        return TokenizedText(text, spans, word_starts, windows)

    def _window(self, ids: list[int], own_start: int, own_end: int) -> Window:
        shift = len(self._prefix)
        return Window(
            np.array(self._prefix + ids + self._suffix, dtype=np.int64),
            slice(own_start + shift, own_end + shift),
        )


def _special_ids(tokenizer: RustTokenizer) -> tuple[list[int], list[int]]:
    """The special tokens that the model expects before and after a text."""
    bare = tokenizer.encode("a", add_special_tokens=False).ids
    full = tokenizer.encode("a", add_special_tokens=True).ids
    for shift in range(len(full) - len(bare) + 1):
        if full[shift : shift + len(bare)] == bare:
            return full[:shift], full[shift + len(bare) :]
    raise ModelInvalid("tokenizer.json: its post-processor changes the tokens of the text")
