"""Where a long text is cut so that each part fits the model.

Every token is owned by exactly one window. A cut at the end of a sentence needs no overlap: the
model was trained on sentences. Where no sentence ends in the second half of a window, neighbours
overlap and share the overlap half and half, so that no owned token stands at a bare edge.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum


class Edge(IntEnum):
    """How good a place between two tokens is for a cut."""

    NONE = 0  # inside a word
    WORD = 1
    SENTENCE = 2


@dataclass(frozen=True, slots=True)
class Cut:
    """Tokens [start, end) that a window shows the model, and those [own_start, own_end) it owns."""

    start: int
    end: int
    own_start: int
    own_end: int


def cut(tokens: int, capacity: int, overlap: int, edge_before: Callable[[int], Edge]) -> list[Cut]:
    """Cuts a text of `tokens` tokens into windows of at most `capacity`.

    Args:
        tokens: length of the text, special tokens not counted.
        capacity: most tokens in a window, special tokens not counted; at least 1.
        overlap: tokens that neighbours share where no sentence ends; less than half of `capacity`.
        edge_before: how good a cut before token i is, for 0 < i < tokens.

    Returns:
        Windows in text order whose owned ranges follow each other from 0 to `tokens`.
    """
    cuts: list[Cut] = []
    start = own_start = 0
    while tokens - start > capacity:
        limit = start + capacity
        # At least half a window goes forward each time, and always past what is owned already.
        floor = max(start + capacity // 2, own_start + 1)
        sentence = _last(edge_before, Edge.SENTENCE, limit, floor)
        if sentence is not None:
            cuts.append(Cut(start, sentence, own_start, sentence))
            start = own_start = sentence
            continue
        middle = max(limit - overlap // 2, own_start + 1)
        border = _last(edge_before, Edge.WORD, middle, floor) or middle
        cuts.append(Cut(start, limit, own_start, border))
        wanted = max(border - (overlap - overlap // 2), start + 1)
        lowest = start + max(1, capacity // 2)
        start = _last(edge_before, Edge.WORD, wanted, lowest) or wanted
        own_start = border
    cuts.append(Cut(start, tokens, own_start, tokens))
    return cuts


def _last(
    edge_before: Callable[[int], Edge], at_least: Edge, highest: int, lowest: int
) -> int | None:
    """The last place in [lowest, highest] where a cut is at least this good."""
    return next((i for i in range(highest, lowest - 1, -1) if edge_before(i) >= at_least), None)


_TERMINATORS = ".!?\u2026"
_FULL_WIDTH_TERMINATORS = "\u3002\uff01\uff1f\uff61"
_CLOSERS = "\"')]}\u00bb\u2019\u201d"
# Words whose full stop seldom ends a sentence; single letters are treated like them.
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st gen sen rep gov col lt sgt capt jr sr rev hon vs etc no vol fig "
    "jan feb mar apr jun jul aug sep sept oct nov dec".split()
)


def edge(text: str, spans: list[tuple[int, int]], word_starts: frozenset[int], i: int) -> Edge:
    """How good a cut before token `i` of a text is.

    Args:
        text: the whole text.
        spans: code points [start, end) of each token.
        word_starts: indices of the tokens that begin a word.
        i: the token after the cut, 0 < i < len(spans).
    """
    if i not in word_starts:
        return Edge.NONE
    return Edge.SENTENCE if _ends_sentence(text, spans[i - 1][1], spans[i][0]) else Edge.WORD


def _ends_sentence(text: str, end: int, start: int) -> bool:
    """Whether a sentence ends between the characters `end` and `start`."""
    gap = text[end:start]
    if any(line_break in gap for line_break in "\n\r\u2028\u2029"):
        return True
    last = end - 1
    while last > 0 and text[last] in _CLOSERS:
        last -= 1
    mark = text[last] if last >= 0 else ""
    if mark in _FULL_WIDTH_TERMINATORS:
        return text[start] not in _CLOSERS
    if not gap or mark not in _TERMINATORS or text[start].islower():
        return False
    return mark != "." or not _is_abbreviation(text, last)


def _is_abbreviation(text: str, full_stop: int) -> bool:
    first = full_stop
    while first > 0 and text[first - 1].isalpha():
        first -= 1
    word = text[first:full_stop]
    return len(word) == 1 or word.lower() in _ABBREVIATIONS
