"""Words: the tokens that are labelled as one.

A tokenizer's words end at punctuation. Two signs are punctuation to it that people write inside of
words: the underscore of "@xoxo_leah" and "snake_case", and the "#" that begins a tag. Cut there, a
name could begin or end in the middle of a handle.

Not all that is written without white space is a word: a hyphen or an apostrophe may be inside of
one ("O'Brien", "Jean-Luc") or not ("Paris-based", "Ann's"), and Chinese has no white space at all.
So only these two signs join what stands beside them.
"""

import re
from collections.abc import Sequence

# Between an underscore and a letter, digit or underscore; between a tag's "#" and what follows it.
_INNER_BORDER = re.compile(r"(?<=\w)(?=_)|(?<=_)(?=\w)|(?<=(?<!\w)#)(?=\w)")


def word_starts(
    text: str, spans: Sequence[tuple[int, int]], words: Sequence[int | None]
) -> list[int]:
    """The first token of each word.

    Args:
        text: what was tokenized.
        spans: [start, end) of each token, in code points.
        words: the tokenizer's number of the word of each token; at least one.

    Returns:
        Ascending, the first 0.
    """
    starts = [0]
    starts += [i for i in range(1, len(words)) if words[i] != words[i - 1]]
    if "_" not in text and "#" not in text:
        return starts
    inner = {match.start() for match in _INNER_BORDER.finditer(text)}
    return [i for i in starts if not i or spans[i][0] not in inner]
