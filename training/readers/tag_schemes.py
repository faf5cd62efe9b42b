"""Tag schemes: one tag a token, and the spans that a row of them means.

Source: Ramshaw & Marcus 1995 (IOB1); Tjong Kim Sang & Veenstra 1999 (IOB2);
Ratinov & Roth 2009 (IOBES, there BILOU).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

_OUTSIDE = "O"
# Other names of the same prefixes: last and unit.
_SAME = {"L": "E", "U": "S"}


class Scheme(StrEnum):
    """How a tag's prefix is meant."""

    IOB1 = "iob1"  # B- only where a span of the same label ends just before
    IOB2 = "iob2"  # B- at every start
    IOBES = "iobes"  # also E- at every end, and S- for a span of one token


_PREFIXES = {Scheme.IOB1: "IB", Scheme.IOB2: "IB", Scheme.IOBES: "IBES"}


class TagInvalid(Exception):
    """A tag is unknown or does not follow from the one before."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index  # of the token


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """Tokens [start, end)."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class _Tag:
    prefix: str  # one of "OBIES"
    label: str


_NONE = _Tag(_OUTSIDE, "")


def spans_of(tags: Sequence[str], scheme: Scheme) -> list[TokenSpan]:
    """The spans that a sentence's tags mean.

    Args:
        tags: one for each token.
        scheme: how to read them.

    Raises:
        TagInvalid: a tag is unknown to the scheme or breaks the sequence.
    """
    parsed = [_parsed(i, tag, scheme) for i, tag in enumerate(tags)]
    _check_sequence(parsed, tags, scheme)
    starts = [i for i, tag in enumerate(parsed) if _starts(parsed[i - 1] if i else _NONE, tag)]
    return [TokenSpan(i, _end(parsed, i), parsed[i].label) for i in starts]


def _parsed(i: int, tag: str, scheme: Scheme) -> _Tag:
    if tag == _OUTSIDE:
        return _NONE
    prefix, _, label = tag.partition("-")
    if scheme is Scheme.IOBES:
        prefix = _SAME.get(prefix, prefix)
    if prefix in tuple(_PREFIXES[scheme]) and label:
        return _Tag(prefix, label)
    forms = ", ".join(f"{p}-TYPE" for p in _PREFIXES[scheme])
    hint = "; if the file is IOBES, say so" if prefix in tuple("ESLU") and label else ""
    raise TagInvalid(i, f"tag {tag!r} is none of O, {forms}{hint}")


def _check_sequence(parsed: Sequence[_Tag], tags: Sequence[str], scheme: Scheme) -> None:
    if scheme is Scheme.IOB1:
        return  # every sequence means something
    for i, (tag, following) in enumerate(zip([_NONE, *parsed], [*parsed, _NONE], strict=True)):
        goes_on = following.prefix in tuple("IE") and following.label == tag.label
        if following.prefix in tuple("IE") and not (goes_on and tag.prefix in tuple("BI")):
            after = f"after {tags[i - 1]!r}" if i else "at the start of a sentence"
            raise TagInvalid(i, f"tag {tags[i]!r} {after}: {_repair(following, scheme)}")
        if scheme is Scheme.IOBES and tag.prefix in tuple("BI") and not goes_on:
            reason = f"tag {tags[i - 1]!r} ends a span: write {_ending(tag)}-{tag.label}"
            raise TagInvalid(i - 1, reason)


def _repair(tag: _Tag, scheme: Scheme) -> str:
    if scheme is Scheme.IOBES:
        return f"a span starts with B-{tag.label}, or is S-{tag.label} alone"
    return f"a span starts with B-{tag.label}; if the file is IOB1, say so"


def _ending(tag: _Tag) -> str:
    return "S" if tag.prefix == "B" else "E"


def _starts(before: _Tag, tag: _Tag) -> bool:
    if tag.prefix in tuple("BS"):
        return True
    # In IOB1 a span may start with I-.
    return tag.prefix == "I" and (before.prefix == _OUTSIDE or before.label != tag.label)


def _end(parsed: Sequence[_Tag], start: int) -> int:
    end = start + 1
    while (
        end < len(parsed)
        and parsed[end].prefix in tuple("IE")
        and parsed[end].label == parsed[start].label
    ):
        end += 1
    return end
