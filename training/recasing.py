"""Recasing: texts as people write them who do not care for case.

Annotated text is edited text: a model that has learned from nothing else takes "angela merkel" for
no name and every word of a headline for one. What a name is does not change with its case, so that
the same annotation, and what teachers said of the text as it was written, holds in every case.

Source: Mayhew, Tsygankova and Roth, ner and pos when nothing is capitalized (2019).
"""

import random
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace

from training.data import Corpus, Example

# What no tokenizer joins with what is beside it.
_CHUNK = re.compile(r"[^ \t\r\n]+")
# With what follows an apostrophe, which no headline capitalizes.
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


def _capitalized(word: str) -> str:
    return word[:1].upper() + word[1:]


CASES: Mapping[str, Callable[[str], str]] = {
    "lower": str.lower,
    "upper": str.upper,
    "capitalized": _capitalized,
}
# Drawn evenly: nothing is written as often as all in small letters.
_LEARNED = ("lower", "lower", "upper", "capitalized")


def recased(example: Example, share: float, rng: random.Random) -> Example:
    """The example, or the same in small letters, in capitals, or with every word capitalized.

    A word that would become other tokens stays as it is, so that what teachers said still holds.

    Args:
        example: a text with its spans and what teachers said of it; all of it stays.
        share: of the examples that are changed, [0, 1].
        rng: draws.
    """
    if not share or rng.random() >= share:
        return example
    change = CASES[rng.choice(_LEARNED)]

    def write(chunk: re.Match[str]) -> str:
        if not all(map(_is_plain, chunk[0])):
            return chunk[0]
        return _WORD.sub(lambda w: change(w[0]) if _has_plain_case(w[0]) else w[0], chunk[0])

    return replace(example, text=_CHUNK.sub(write, example.text))


def in_case(corpus: Corpus, case: str) -> Corpus:
    """A corpus to be measured, all its texts in one case; their spans stay.

    Args:
        corpus: texts with their spans.
        case: of `CASES`.
    """

    def write(word: re.Match[str]) -> str:
        changed = CASES[case](word[0])
        return changed if len(changed) == len(word[0]) else word[0]

    examples = [replace(e, text=_WORD.sub(write, e.text)) for e in corpus.examples]
    return replace(corpus, examples=examples)


def _is_plain(character: str) -> bool:
    """Whether a character is of no other alphabet and not one that BERT's normalizer drops."""
    if character.isascii():
        return character.isprintable()
    return unicodedata.category(character).startswith("P")


def _has_plain_case(word: str) -> bool:
    """Whether the pieces of a word, as `casing` spells them, are the same in every case.

    They are not where a capital stands within it, as in "McDonald".
    """
    return word in (word.lower(), word.upper(), _capitalized(word.lower()))
