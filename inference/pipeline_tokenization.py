"""Text to pieces of the vocabulary, as Hugging Face's pipeline reads it.

Without a stride a text that the model takes is one sequence; a longer one is read in the windows of
`Recognize`, because nothing is cut off here (the pipeline would do so, silently). With a stride it
is read in the pipeline's chunks: as long as the model takes, and sharing `stride` tokens.

Source: `TokenClassificationPipeline.preprocess` of transformers 5, and the truncation of the
`tokenizers` library that it calls.
"""

from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer as RustTokenizer
from tokenizers import decoders

from inference.core import Chunk, PieceText, TokenizedText, Window
from inference.errors import Reason, RequestInvalid
from inference.token_budget import TokenBudget
from inference.tokenization import Tokenizer

# What `tokenizer.json` does not say where the model has no such attribute (Unigram): the name that
# SentencePiece gives the unknown piece.
_UNKNOWN_PIECE = "<unk>"


class PieceTokenizer:
    """Reads texts with a model's tokenizer; light enough to be made for a call.

    Args:
        tokenizer: the model's; shared, not changed.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._prefix, self._suffix = tokenizer.special_ids
        self._capacity = tokenizer.model_tokens - len(self._prefix) - len(self._suffix)
        self._unknown_id = _unknown_id(tokenizer.rust)
        self.continuing_prefix = _continuing_prefix(tokenizer.rust)
        decoder = tokenizer.rust.decoder
        if decoder is None and self.continuing_prefix:
            # transformers gives a BERT's tokenizer this decoder, whether or not its file has it.
            decoder = decoders.WordPiece(self.continuing_prefix, cleanup=True)
        self._decoder = decoder

    def check(self, stride: int | None) -> None:
        """Refuses a stride that would not go forward.

        Raises:
            RequestInvalid: OPTION_INVALID.
        """
        if stride is not None and not 0 <= stride < self._capacity:
            raise RequestInvalid(
                Reason.OPTION_INVALID, f"stride must be from 0 to {self._capacity - 1}"
            )

    def tokenize(self, text: str, stride: int | None, budget: TokenBudget) -> PieceText:
        """Cuts a text into pieces.

        Args:
            text: any text without lone surrogates; may be empty.
            stride: tokens that neighbouring chunks share, less than a chunk; none: one chunk.
            budget: of the call. A stride of nearly a chunk makes hundreds of tokens of each.

        Raises:
            RequestInvalid: the budget is spent.
        """
        encoding = self._tokenizer.rust.encode(text, add_special_tokens=False)
        ids: list[int] = encoding.ids
        if len(ids) > self._capacity and stride is None:
            tokenized = self._tokenizer.tokenize(text)
            budget.take(sum(len(window.ids) for window in tokenized.windows))
            chunks = [Chunk(0, len(ids), len(tokenized.windows))]
        else:
            chunks = [Chunk(*ends, 1) for ends in _chunk_ends(len(ids), self._capacity, stride)]
            special = len(self._prefix) + len(self._suffix)
            budget.take(sum(chunk.last - chunk.first + special for chunk in chunks))
            windows = [self._window(ids[chunk.first : chunk.last]) for chunk in chunks]
            tokenized = TokenizedText(text, encoding.offsets, [], windows)
        unknown = [one == self._unknown_id for one in ids]
        return PieceText(tokenized, encoding.tokens, unknown, chunks, len(self._prefix))

    def join(self, pieces: Sequence[str], /) -> str:
        """Writes pieces together as the tokenizer does."""
        return " ".join(pieces) if self._decoder is None else self._decoder.decode(list(pieces))

    def _window(self, ids: list[int]) -> Window:
        first = len(self._prefix)
        return Window(
            np.array(self._prefix + ids + self._suffix, dtype=np.int64),
            slice(first, first + len(ids)),
        )


def _chunk_ends(tokens: int, capacity: int, stride: int | None) -> list[tuple[int, int]]:
    """Where chunks of at most `capacity` tokens begin and end."""
    if not tokens:
        return []
    if tokens <= capacity or stride is None:
        return [(0, tokens)]
    step = capacity - stride
    # The chunk that reaches the end is the last.
    starts = range(0, tokens - stride, step)
    return [(start, min(start + capacity, tokens)) for start in starts]


def _unknown_id(rust: RustTokenizer) -> int | None:
    piece = getattr(rust.model, "unk_token", None) or _UNKNOWN_PIECE
    found: int | None = rust.token_to_id(piece)
    return found


def _continuing_prefix(rust: RustTokenizer) -> str:
    """What marks a piece that continues a word; empty where nothing does."""
    return getattr(rust.model, "continuing_subword_prefix", None) or ""
