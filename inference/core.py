"""The records that the parts of the inference service pass to each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from inference.errors import TextRejected


class Aggregation(Enum):
    """How token labels become entities; names and meanings are those of Hugging Face."""

    FIRST = "first"
    SIMPLE = "simple"
    AVERAGE = "average"
    MAX = "max"
    NONE = "none"


class OffsetUnit(Enum):
    """What the offsets of an entity count."""

    CODEPOINT = "codepoint"
    UTF16 = "utf16"
    BYTE = "byte"


class Priority(Enum):
    """Who goes first where calls wait."""

    INTERACTIVE = "interactive"  # somebody waits for the answer
    BULK = "bulk"  # work that may take what the others leave, and a small share in any case


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a text that one row of a model run holds.

    A window may show the model more than it answers for: `owned` are the rows of its logits that
    count. The owned rows of a text's windows, one after the other, are the tokens of the text.
    """

    ids: NDArray[np.int64]  # int64 [tokens], special tokens included
    owned: slice  # rows of the window's logits, special tokens never among them


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """A text as tokens with their places in it; special tokens are only in the windows."""

    text: str
    spans: list[tuple[int, int]]  # code points [start, end) of each token
    word_starts: list[int]  # index of each word's first token, ascending
    windows: list[Window]  # empty when the text holds no token (white space, control characters)
    line_starts: Sequence[int] = ()  # tokens before which an entity ends, ascending, not the first

    @property
    def tokens(self) -> int:
        """Tokens that the model must run, special ones and overlaps included."""
        return sum(len(window.ids) for window in self.windows)


@dataclass(frozen=True, slots=True)
class Entity:
    """A named entity: `text` is exactly the characters from `start` to `end`."""

    text: str
    label: str
    start: int
    end: int
    score: float  # mean probability of the label over the words, in [0, 1]


@dataclass(frozen=True, slots=True)
class RecognizeQuery:
    """What a caller asks of the engine."""

    texts: list[str]
    model: str = ""  # empty: the default model
    version: str = ""  # empty: the live version
    labels: frozenset[str] = frozenset()  # empty: all
    min_score: float | None = None  # in [0, 1]; None: the model's
    aggregation: Aggregation = Aggregation.FIRST
    offset_unit: OffsetUnit = OffsetUnit.CODEPOINT
    priority: Priority = Priority.INTERACTIVE


@dataclass(frozen=True, slots=True)
class Timings:
    """Where a call's time went, in nanoseconds; each figure is the longest of its windows'."""

    tokenize_ns: int = 0
    queue_ns: int = 0
    inference_ns: int = 0
    decode_ns: int = 0


@dataclass(frozen=True, slots=True)
class RecognizeAnswer:
    """The answer to a query: one result per text, in order."""

    model: str
    version: str
    results: list[list[Entity] | TextRejected]
    timings: Timings


@dataclass(frozen=True, slots=True)
class ClassifyQuery:
    """What a caller asks of the engine who wants Hugging Face's answer."""

    texts: list[str]
    model: str = ""  # empty: the default model
    version: str = ""  # empty: the live version
    aggregation: Aggregation = Aggregation.SIMPLE
    ignored_labels: frozenset[str] = frozenset()  # as they stand in the answer
    stride: int | None = None  # tokens that neighbouring chunks share; none: no chunks


@dataclass(frozen=True, slots=True)
class Chunk:
    """Tokens [first, last) of a text, and the windows whose owned rows are theirs."""

    first: int
    last: int
    windows: int


@dataclass(frozen=True, slots=True)
class PieceText:
    """A text as pieces of the vocabulary, which is how Hugging Face's pipeline sees it.

    Pieces are grouped within a chunk only. Without a stride all of a text is one chunk.
    """

    tokenized: TokenizedText  # what runs; with a stride the owned rows of its windows overlap
    pieces: list[str]  # one for each token
    unknown: list[bool]  # whether the vocabulary lacks the token's characters
    chunks: list[Chunk]
    first_index: int  # special tokens before the first token


@dataclass(frozen=True, slots=True)
class TokenGroup:
    """Tokens that the pipeline answers as one."""

    label: str
    score: float  # in [0, 1]
    word: str  # pieces written together
    start: int  # code points
    end: int
    index: int = 0  # of the token in its sequence, special tokens counted; only without groups


@dataclass(frozen=True, slots=True)
class ClassifyAnswer:
    """The answer to a `ClassifyQuery`: one result per text, in order."""

    model: str
    version: str
    results: list[list[TokenGroup] | TextRejected]
    timings: Timings
