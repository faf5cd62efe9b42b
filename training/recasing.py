"""Recasing: texts as people write them who do not care for case.

Annotated text is edited text: a model that has learned from nothing else takes "angela merkel" for
no name and every word of a headline for one. What a name is does not change with its case, so that
the same annotation, and what teachers said of the text as it was written, holds in every case.

Source: Mayhew, Tsygankova and Roth, ner and pos when nothing is capitalized (2019).
"""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from training.data import Corpus, Example

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
    case = rng.choice(_LEARNED)
    return _written(example, case, lambda word, _: _keeps_its_tokens(word))


def in_case(corpus: Corpus, case: str) -> Corpus:
    """A corpus to be measured, all its texts in one case; their spans stay.

    Args:
        corpus: texts with their spans.
        case: of `CASES`.
    """
    examples = [
        _written(example, case, lambda word, changed: len(word) == len(changed))
        for example in corpus.examples
    ]
    return replace(corpus, examples=examples)


def _written(example: Example, case: str, may_change: Callable[[str, str], bool]) -> Example:
    def write(word: re.Match[str]) -> str:
        changed = CASES[case](word[0])
        return changed if may_change(word[0], changed) else word[0]

    return replace(example, text=_WORD.sub(write, example.text))


def _keeps_its_tokens(word: str) -> bool:
    """Whether a word has the same tokens in every case, as `casing` makes them.

    It has not where a capital stands within it, as in "McDonald", which is then another piece, nor
    where another alphabet's letters change their number or have no capital.
    """
    plain = word.replace("\u2019", "'")
    return plain.isascii() and word in (word.lower(), word.upper(), _capitalized(word.lower()))
