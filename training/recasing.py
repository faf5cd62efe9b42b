"""Recasing: sentences are also learned as people type them who do not care for case.

Annotated text is edited text: a model that has learned only from it takes "angela merkel" for no
name and every word of a headline for one. What a name is does not change with its case, so that
the same annotation, and what teachers said of the text as it was written, holds in every case.

Source: Mayhew, Tsygankova and Roth, ner and pos when nothing is capitalized (2019).
"""

import random
import re
from collections.abc import Callable
from dataclasses import replace

from training.data import Example

# With what follows an apostrophe, which no headline capitalizes.
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


def _title(word: str) -> str:
    return word[:1].upper() + word[1:]


# Drawn evenly: nothing is written as often as all in small letters.
_WAYS: tuple[Callable[[str], str], ...] = (str.lower, str.lower, str.upper, _title)


def recased(example: Example, share: float, rng: random.Random) -> Example:
    """The example, or the same in small letters, in capitals, or with every word capitalized.

    Args:
        example: a text with its spans and what teachers said of it; all of it stays.
        share: of the examples that are changed, [0, 1].
        rng: draws.
    """
    if not share or rng.random() >= share:
        return example
    way = rng.choice(_WAYS)
    text = _WORD.sub(lambda word: way(word[0]) if _may_change(word[0]) else word[0], example.text)
    return replace(example, text=text)


def _may_change(word: str) -> bool:
    """Whether the word has the same tokens in every case, as `casing` makes them.

    It has not where a capital stands within it, as in "McDonald", which is then another piece, nor
    where another alphabet's letters change their number or have no capital.
    """
    plain = word.replace("\u2019", "'")
    return plain.isascii() and word in (word.lower(), word.upper(), _title(word.lower()))
