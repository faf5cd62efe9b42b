"""The texts that every scenario sends: English of our own making, the same for the same seed.

Lengths are drawn first, and each text is grown until it has about as many tokens: sentences as
newspapers have them, and texts from a headline to a page.
"""

import math
import random
from collections.abc import Callable, Mapping

from benchmarks import wording

# Tokens of a sentence, special tokens not counted: log-normal, as sentence lengths of running text
# are (Sichel 1974 and others), with a mean of about 21.
_SENTENCE_MEDIAN_TOKENS = 16.6
_SENTENCE_SPREAD = 0.52
_SENTENCE_RANGE = (4, 66)
_MIXED_RANGE = (8, 375)
# A text is grown by parts; it ends where the next part, half of it on average, would be too much.
_HALF_PART_TOKENS = 2.5
# In a text of several sentences a rest shorter than this is not worth one more.
_LEAST_SENTENCE_TOKENS = 5
# WordPiece cuts a name, or a long word, into pieces of about so many characters.
_NAME_PIECE_CHARS = 4.6
_WORD_PIECE_CHARS = 11.0


def sentences(count: int, seed: int) -> list[str]:
    """Makes sentences of 5 to 70 tokens, about 21 on average.

    Args:
        count: how many.
        seed: the same seed gives the same sentences.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    return [_sentence(chance, _sentence_tokens(chance)) for _ in range(count)]


def mixed(count: int, seed: int) -> list[str]:
    """Makes texts of 8 to 400 tokens, as many between 10 and 20 as between 100 and 200.

    Args:
        count: how many.
        seed: the same seed gives the same texts.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    low, high = (math.log(tokens) for tokens in _MIXED_RANGE)
    return [_text(chance, math.exp(chance.uniform(low, high))) for _ in range(count)]


CORPORA: Mapping[str, Callable[[int, int], list[str]]] = {"sentences": sentences, "mixed": mixed}


def _sentence_tokens(chance: random.Random) -> float:
    low, high = _SENTENCE_RANGE
    while True:
        tokens = chance.lognormvariate(math.log(_SENTENCE_MEDIAN_TOKENS), _SENTENCE_SPREAD)
        if low <= tokens <= high:
            return tokens


def _text(chance: random.Random, tokens: float) -> str:
    """One sentence, or as many as it takes."""
    text = ""
    while True:
        rest = tokens - _tokens(text)
        if text and rest < _LEAST_SENTENCE_TOKENS:
            return text
        wanted = min(rest, _sentence_tokens(chance))
        text += (" " if text else "") + _sentence(chance, wanted)


def _sentence(chance: random.Random, tokens: float) -> str:
    text = _clause(chance, tokens)
    while (rest := tokens - _tokens(text) - _HALF_PART_TOKENS) > 0:
        # An ending keeps a sentence in one piece; the longer it is to be, the more clauses.
        if chance.random() < 0.6:
            text += " " + _filled(chance, chance.choice(wording.ENDINGS))
        else:
            text += chance.choice(wording.JOINTS) + _clause(chance, rest)
    return text[0].upper() + text[1:] + "."


def _clause(chance: random.Random, tokens: float) -> str:
    if tokens < 9:
        deed = chance.choice(wording.SHORT_DEEDS)
        return _filled(chance, f"{{person}} {deed}" if tokens > 6 else f"{{first}} {deed}")
    if chance.random() < 0.5:
        return _filled(chance, chance.choice(wording.STATEMENTS))
    return _filled(chance, "{person} " + chance.choice(wording.DEEDS))


def _filled(chance: random.Random, pattern: str) -> str:
    """The pattern with a name for each of its slots."""
    while "{" in pattern:
        before, _, rest = pattern.partition("{")
        slot, _, after = rest.partition("}")
        pattern = before + _name(chance, slot) + after
    return pattern


def _name(chance: random.Random, slot: str) -> str:
    if slot == "first":
        return chance.choice(wording.FIRST_NAMES)
    if slot == "person":
        surname = chance.choice(wording.SURNAMES).replace("_", " ")
        # A quarter of the mentions are by surname alone, as in any article after the first one.
        if chance.random() < 0.25:
            return surname
        return f"{chance.choice(wording.FIRST_NAMES)} {surname}"
    names = {
        "place": wording.PLACES,
        "firm": wording.FIRMS,
        "other": wording.OTHERS,
        "day": wording.DAYS,
    }
    return chance.choice(names[slot])


def _tokens(text: str) -> float:
    """About how many tokens a WordPiece tokenizer makes of it, without asking one."""
    marks = sum(text.count(mark) for mark in ",;:.'-")
    return marks + sum(
        max(1.0, len(word) / (_NAME_PIECE_CHARS if word[0].isupper() else _WORD_PIECE_CHARS))
        for word in text.split()
    )
