"""Words: the tokens that are labelled as one.

A tokenizer's words end at punctuation. Two signs are punctuation to it that people write inside of
words: the underscore of "@xoxo_leah" and "snake_case", and the "#" that begins a tag. Cut there, a
name could begin or end in the middle of a handle.

Not all that is written without white space is a word: a hyphen or an apostrophe may be inside of
one ("O'Brien", "Jean-Luc") or not ("Paris-based", "Ann's"), and Chinese has no white space at all.
So only these two signs join what stands beside them, unless a model's `config.json` says that
nobody who annotated its texts drew a border at a sign within (`joined_words`).
"""

import re
from collections.abc import Iterator, Sequence

# Between an underscore and a letter, digit or underscore; between a tag's "#" and what follows it.
_INNER_BORDER = re.compile(r"(?<=\w)(?=_)|(?<=_)(?=\w)|(?<=(?<!\w)#)(?=\w)")
# Hyphens, apostrophes, ampersand and plus. A period or a slash may as well stand between two words:
# of "U.S." all tokens are in a name or none, and in "over.Then" or "Paris/Seoul" there are two.
_SIGNS = r"\-\u2010\u2011\u2013'\u2019&+"
# A possessive "'s" is a word of its own, as it is wherever words are annotated.
# Nothing is given back and nothing begins within a word: the time is linear, whatever is written.
_JOINED = re.compile(rf"(?<!\w)\w++(?:(?!['\u2019][sS]\b)[{_SIGNS}]++\w++)++")
_SIGN = re.compile(f"[{_SIGNS}]")


def word_starts(
    text: str,
    spans: Sequence[tuple[int, int]],
    words: Sequence[int | None],
    *,
    joined: bool = False,
) -> list[int]:
    """The first token of each word.

    Args:
        text: what was tokenized.
        spans: [start, end) of each token, in code points.
        words: the tokenizer's number of the word of each token; at least one.
        joined: whether a sign within (`joined_words`) ends no word.

    Returns:
        Ascending, the first 0.
    """
    starts = [0]
    starts += [i for i in range(1, len(words)) if words[i] != words[i - 1]]
    inner: set[int] = set()
    if "_" in text or "#" in text:
        inner.update(match.start() for match in _INNER_BORDER.finditer(text))
    if joined:
        inner.update(_borders_at_signs(text))
    return [i for i in starts if not i or spans[i][0] not in inner] if inner else starts


def joined_words(text: str) -> Iterator[tuple[int, int]]:
    """What is written without white space and with signs within, [start, end) in code points.

    "Jean-Luc", "AT&T", "then-U", "1996-08-22": no sign before or after, and not "Ann's".

    Args:
        text: any.
    """
    return (match.span() for match in _JOINED.finditer(text))


def _borders_at_signs(text: str) -> Iterator[int]:
    """Where a sign within a joined word begins or ends; letters that touch are parted as ever."""
    for start, end in joined_words(text):
        for sign in _SIGN.finditer(text, start, end):
            yield from sign.span()
