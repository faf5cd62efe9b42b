"""Texts of many scripts and lengths, the same ones every time."""

import random

_NAMES = (
    "Angela Merkel",
    "Tim Cook",
    "Zoë Ångström",
    "Zoe\u0308 A\u030angstro\u0308m",  # the same, with combining marks
    "Wolfeschlegelsteinhausenbergerdorff",
    "O'Brien-Smith",
    "McDonald's",
    "AT&T",
    "S.p.A. Ferrari",
    "東京タワー",
    "北京",
    "\u1112\u1161\u11ab\u1100\u116e\u11a8",  # Hangul in decomposed form
    "محمد صلاح",
    "Владимир Путин",
    "São Paulo",
    "New York",
    "U.S.",
    "iPhone 15",
    "Straße",
    "\ufb01nance",  # a ligature
)
_WORDS = (
    *"met in of the and visited for was asked said runs near between , . ; : ! ? ( )".split(),
    *"« » \u201c \u201d - -- … 1,234.56 50% $5 @home #tag http://a.example/b?c=d ½ ² Ⅳ".split(),
    *"tokenization unbelievably internationalization e\u0301a\u0300 \U0001f600".split(),
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",  # one family of three
    "\U0001f1e9\U0001f1ea",  # a flag
    *("\u200b", "\ufeff", "\u00ad", "\x00", "\ufffd"),
    *("x" * 101, "ab" * 60),  # longer than a word of WordPiece may be, and just not
)
_SPACES = (" ", " ", " ", " ", "", "  ", "\n", "\t", "\u00a0", "\r\n")


def varied_texts(count: int, most_words: int, seed: int) -> list[str]:
    """Makes texts of 1 to `most_words` words and names."""
    chance = random.Random(seed)  # noqa: S311 - texts, not secrets
    return [_text(chance, chance.randint(1, most_words)) for _ in range(count)]


def _text(chance: random.Random, words: int) -> str:
    parts = []
    for _ in range(words):
        parts += [chance.choice(chance.choice((_NAMES, _WORDS))), chance.choice(_SPACES)]
    return "".join(parts)
