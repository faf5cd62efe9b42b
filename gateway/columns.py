"""The classic demo's answer: words over their tags, in columns.

The rule, as the demo had it: the characters `, ? . : ; ! ( ) [ ]` are removed, what is left is
stripped and split at single spaces (so two spaces make an empty word), and every column is as wide
as the longer of word and tag, plus one space.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_REMOVED: Final = frozenset(",?.:;!()[]")
# A character that is neither removed nor stripped.
_KEPT: Final = re.compile(r"[^\s,?.:;!()\[\]]")
_OUTSIDE: Final = "O"


@dataclass(frozen=True, slots=True)
class LabelledSpan:
    """An entity in the original text.

    Attributes:
        start: first character, in code points.
        end: one past the last character, in code points.
        label: the entity type, without a BIO prefix.
    """

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Word:
    """One word of the demo's rule.

    Attributes:
        text: its characters, without the removed ones; may be empty.
        start: where its first character stands in the original text, in code points.
        end: one past its last character in the original text; equal to `start` if it is empty.
    """

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Two rows whose columns line up."""

    words: str
    tags: str


def words_of(text: str) -> list[Word]:
    """Split a text into words by the demo's rule.

    Returns:
        The words in text order, never none: an empty text has one empty word.
    """
    if not has_words(text):
        return [Word("", 0, 0)]
    kept = "".join(character for character in text if character not in _REMOVED)
    positions = [index for index, character in enumerate(text) if character not in _REMOVED]
    cursor = len(kept) - len(kept.lstrip())
    words: list[Word] = []
    for word in kept.strip().split(" "):
        if word:
            start, end = positions[cursor], positions[cursor + len(word) - 1] + 1
            words.append(Word(word, start, end))
        else:
            words.append(Word("", 0, 0))
        cursor += len(word) + 1
    return words


def has_words(text: str) -> bool:
    """Say whether the rule leaves anything of a text that could be an entity.

    It takes nothing apart: nobody has yet said that the text is short enough for that.
    """
    return _KEPT.search(text) is not None


def align(text: str, entities: Sequence[LabelledSpan]) -> Rows:
    """Write the words of a text over the tags that entities give them.

    Args:
        text: the original text.
        entities: in text order, not overlapping; offsets are into `text`.
    """
    words = words_of(text)
    columns = [
        (word.text, tag, max(len(word.text), len(tag)) + 1)
        for word, tag in zip(words, _tags(words, entities), strict=True)
    ]
    return Rows(
        words="".join(word.ljust(width) for word, _, width in columns),
        tags="".join(tag.ljust(width) for _, tag, width in columns),
    )


def _tags(words: Sequence[Word], entities: Sequence[LabelledSpan]) -> Iterator[str]:
    """Tag each word by the first entity that it shares a character with.

    Yields:
        `B-label` for the first word that an entity tags, `I-label` for its later ones, else `O`.
    """
    current = 0
    tagged: int | None = None
    for word in words:
        if not word.text:
            yield _OUTSIDE
            continue
        while current < len(entities) and entities[current].end <= word.start:
            current += 1
        if current == len(entities) or entities[current].start >= word.end:
            yield _OUTSIDE
            continue
        prefix = "I" if tagged == current else "B"
        tagged = current
        yield f"{prefix}-{entities[current].label}"
