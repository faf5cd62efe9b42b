"""Where sentences begin, and lines that begin anew.

Rules, not a model. A sentence ends
  - at a full stop, question or exclamation mark, and what closes a quotation after it, when white
    space and no lower-case letter follow, but not at the full stop of an abbreviation;
  - at a full-width mark;
  - at a line break, unless a lower-case letter follows or the break only wraps a paragraph.
Where the rules are wrong about a mark a name loses some context; no name is lost.

A line begins anew after a break that ends a sentence, and after an empty line. No name stands
across such a break, whatever the model makes of the words on both sides, which it does not see.

Every pattern here takes time linear in the text: a run of marks or white space is scanned once.
"""

import re
from collections.abc import Iterator
from itertools import groupby, pairwise

_END = re.compile(
    r"""(?<![.!?\u2026])(?P<mark>[.!?\u2026]++)["')\]}\u00bb\u2019\u201d]*+\s++"""
    r"""|[\u3002\uff01\uff1f\uff61]++["')\]}\u300d\u300f\uff09\u2019\u201d]*+\s*+"""
    r"""|(?P<break>[\n\r\u2028\u2029])\s*+"""
)
_LINE_BREAK = re.compile(r"\r\n|[\n\r\u2028\u2029]")
_LINE_BREAKS = re.compile(r"[\n\r\u2028\u2029]\s*+")
# Widths, in characters: of the narrowest column, and at which mail programs and editors wrap lines.
_NARROWEST_COLUMN, _NARROWEST_WRAP, _WIDEST_WRAP = 25, 60, 100
# Of the line breaks of a column. In lists and addresses, which are as narrow, few lines are full.
_LEAST_FULL_SHARE = 0.5
# Words whose full stop seldom ends a sentence; single letters are treated like them.
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st gen sen rep gov col lt sgt capt jr sr rev hon vs etc no vol fig "
    "inc ltd co corp jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
_LONGEST_ABBREVIATION = max(map(len, _ABBREVIATIONS))


def sentence_starts(text: str) -> Iterator[int]:
    """Where each sentence but the first begins.

    Args:
        text: any text.

    Yields:
        Code points, ascending, each of a character that is no white space.
    """
    wraps = _wraps(text)
    for end in _END.finditer(text):
        start = end.end()
        if start == len(text):
            return
        if end["mark"]:
            goes_on = end["mark"] == "." and _is_abbreviation(text, end.start())
        else:
            goes_on = end.start() in wraps
        if not (goes_on or (text[start].islower() and (end["mark"] or end["break"]))):
            yield start


def line_starts(text: str) -> list[int]:
    """Where each line begins that does not go on with the one before.

    Args:
        text: any text.

    Returns:
        Code points, ascending, each of a character that is no white space.
    """
    if not _LINE_BREAK.search(text):
        return []
    wraps = _wraps(text)
    starts = []
    for white in _LINE_BREAKS.finditer(text):
        line_break, start = white.span()
        if start == len(text):
            break
        goes_on = text[start].islower() or line_break in wraps or _ends_open(text, line_break)
        if not goes_on or _has_empty_line(text, white):
            starts.append(start)
    return starts


def _has_empty_line(text: str, white: re.Match[str]) -> bool:
    first = _LINE_BREAK.match(text, white.start())
    return bool(first and _LINE_BREAK.search(text, first.end(), white.end()))


def _ends_open(text: str, line_break: int) -> bool:
    """Whether the last word of a line is an abbreviation."""
    end = line_break
    while end and text[end - 1].isspace():
        end -= 1
    return end > 0 and text[end - 1] == "." and _is_abbreviation(text, end - 1)


def _is_abbreviation(text: str, full_stop: int) -> bool:
    first = full_stop
    while first > max(0, full_stop - _LONGEST_ABBREVIATION - 1) and text[first - 1].isalpha():
        first -= 1
    word = text[first:full_stop]
    return len(word) == 1 or word.lower() in _ABBREVIATIONS


def _wraps(text: str) -> frozenset[int]:
    """The line breaks that only wrap a paragraph: the next word had no room in the line.

    The widest line of a paragraph tells how much room there is.
    """
    ends = [match.span() for match in _LINE_BREAK.finditer(text)]
    if not ends:
        return frozenset()
    lines = list(zip([0, *(e for _, e in ends)], [*(s for s, _ in ends), len(text)], strict=True))
    wraps: list[int] = []
    for blank, paragraph in groupby(lines, key=lambda line: not text[slice(*line)].strip()):
        block = list(paragraph)
        width = max(end - start for start, end in block)
        if blank or not _NARROWEST_COLUMN <= width <= _WIDEST_WRAP:
            continue
        full = [
            end
            for (start, end), following in pairwise(block)
            if end - start + 1 + len(text[slice(*following)].split(maxsplit=1)[0]) > width
        ]
        if width >= _NARROWEST_WRAP or len(full) >= _LEAST_FULL_SHARE * (len(block) - 1):
            wraps += full
    return frozenset(wraps)
