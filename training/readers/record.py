"""A labelled text as its file has it: the labels are still the set's own."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


class DataInvalid(Exception):
    """A labelled file is missing or wrong; the message says which, where and what to change."""


@dataclass(frozen=True, slots=True)
class LabelledSpan:
    """Code points [start, end) of the text."""

    start: int
    end: int
    label: str
    place: str = field(default="", compare=False)  # of its first token; empty: not known


@dataclass(frozen=True, slots=True)
class Record:
    """A text with its spans, in text order, inside the text and apart from each other."""

    place: str  # file and line, for messages
    id: str
    text: str
    spans: tuple[LabelledSpan, ...]
    document: str = ""  # names the one that it follows others in; empty: not said


def record(place: str, name: str, text: str, spans: Iterable[LabelledSpan]) -> Record:
    """Checks the spans and puts them in order.

    Args:
        place: file and line, for messages.
        name: the id.
        text: what the spans are of.
        spans: in any order.

    Raises:
        DataInvalid: a span is empty, outside the text, overlaps or has white space at an end; or
            the text is none.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataInvalid(
            f"{place}: code point {error.start} is half of a surrogate pair, as of an emoji that"
            " was cut: remove it"
        ) from error
    ordered = tuple(sorted(spans, key=lambda span: span.start))
    end = 0
    for span in ordered:
        fault = _fault(text, span, end)
        if fault:
            raise DataInvalid(f"{place}: span [{span.start}, {span.end}) {fault}")
        end = span.end
    return Record(place, name, text, ordered)


def _fault(text: str, span: LabelledSpan, end: int) -> str:
    """What is wrong with a span, and what to do; empty: nothing."""
    if span.start >= span.end:
        return "is empty: end is the code point after its last; remove it or move its end"
    if span.start < 0 or span.end > len(text):
        return f"is outside the text of {len(text)} code points: count code points, not bytes"
    if span.start < end:
        return f"overlaps the span before it, which ends at {end}: keep one of them"
    mention = text[span.start : span.end]
    if mention != mention.strip():
        return "has white space at an end: move it to the first or last letter"
    return ""


def read_text(path: Path) -> str:
    """A whole file.

    Raises:
        DataInvalid: it cannot be read, is empty or is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataInvalid(f"{path}: {error.strerror}; --data names the data folder") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataInvalid(
            f"{path}:{line}: byte 0x{content[error.start]:02x} is not UTF-8:"
            " save the file in that encoding"
        ) from error
    if not text.strip():
        raise DataInvalid(f"{path}: holds no example: fill it or take the set out")
    return text
