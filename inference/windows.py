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
    half = max(1, capacity // 2)
    behind = overlap // 2  # of a border, the part of the overlap; the rest is before it
    cuts: list[Cut] = []
    start = own_start = first
    # Of each window start <= own_start < border <= end, so that it owns a token and shows what it
    # owns; and own_start < end - behind, so that a border is left to choose.
    while last - start > capacity:
        end = start + capacity
        # Half a window on, and past what is owned already: so windows are few, and none is empty.
        border = _last(begins_word, max(start + half, own_start + 1), end - behind)
        cuts.append(Cut(start, end, own_start, border))
        # The next shows its part of the overlap before the border, and more back to where a word
        # begins, if that is half a window on; a token on it is always, and so this ends.
        wanted = max(border - (overlap - behind), start + 1)
        start = _last(begins_word, min(start + half, wanted), wanted)
        own_start = border
    cuts.append(Cut(start, last, own_start, last))
    return cuts


def _last(begins_word: Callable[[int], bool], lowest: int, highest: int) -> int:
    """The last token in [lowest, highest], never empty, that begins a word, or else `highest`."""
    return next((i for i in range(highest, lowest - 1, -1) if begins_word(i)), highest)
