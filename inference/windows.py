"""Where a sentence is cut that does not fit the model.

Neighbouring windows overlap, and share the overlap half and half: every token is owned by exactly
one window, and none that stands at a bare edge is owned by it.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cut:
    """Tokens [start, end) that a window shows the model, and those [own_start, own_end) it owns."""

    start: int
    end: int
    own_start: int
    own_end: int


def cut(
    first: int, last: int, capacity: int, overlap: int, begins_word: Callable[[int], bool]
) -> list[Cut]:
    """Cuts tokens [first, last) into windows of at most `capacity`.

    Args:
        first: the first token.
        last: one past the last token; more than `first`.
        capacity: most tokens in a window, special tokens not counted; at least 1.
        overlap: tokens that neighbours share; less than half of `capacity`.
        begins_word: whether a word begins at a token; asked for first < token < last.

    Returns:
        Windows in order whose owned ranges follow each other from `first` to `last`.
    """
    cuts: list[Cut] = []
    start = own_start = first
    while last - start > capacity:
        limit = start + capacity
        # At least half a window goes forward each time, and always past what is owned already.
        floor = max(start + capacity // 2, own_start + 1)
        middle = max(limit - overlap // 2, own_start + 1)
        border = _last(begins_word, middle, floor)
        cuts.append(Cut(start, limit, own_start, border))
        wanted = max(border - (overlap - overlap // 2), start + 1)
        start = _last(begins_word, wanted, start + max(1, capacity // 2))
        own_start = border
    cuts.append(Cut(start, last, own_start, last))
    return cuts


def _last(begins_word: Callable[[int], bool], highest: int, lowest: int) -> int:
    """The last token in [lowest, highest] that begins a word, or else `highest`."""
    return next((i for i in range(highest, lowest - 1, -1) if begins_word(i)), highest)
