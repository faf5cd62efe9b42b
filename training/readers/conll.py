"""CoNLL columns: a token and its tag a line, an empty line after each sentence.

A line -DOCSTART-, or a comment `# newdoc` of CoNLL-U, begins a document.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from training.readers.record import DataInvalid, LabelledSpan, Record, read_text, record
from training.readers.tag_schemes import Scheme, TagInvalid, spans_of

_DOCUMENT_START = "-DOCSTART-"
# As in CoNLL-U: `# sent_id = 7`, `# newdoc`, `# newdoc id = a`, `# newpar id = b`.
_COMMENT = re.compile(r"#\s*(?:(new(?:doc|par))(?:\s+id\s+=\s.*)?$|(\w+)\s+=\s(.*))")
_TEXT = "text"
_NEW_DOCUMENT = "newdoc"


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a line's parts stand, and how its tag is meant; as in Python, -1 is the last."""

    token: int = 0
    tag: int = -1
    scheme: Scheme = Scheme.IOB2


@dataclass(frozen=True, slots=True)
class _Line:
    number: int  # from 1
    token: str
    tag: str


@dataclass(frozen=True, slots=True)
class _Sentence:
    lines: list[_Line]
    text: str  # as it was written, where a comment says so; else empty
    document: str  # the number of the line that begins it; empty: none does


def read(path: Path, columns: Columns) -> list[Record]:
    """Reads a file; its texts are what `# text = ...` says, else the tokens with a space between.

    The latter also where the tokens do not stand in the text: some corpora take "don't" apart into
    "do" and "not".

    Args:
        path: the file; columns are parted by tabs where a line has one, else by spaces.
        columns: which column is what.

    Raises:
        DataInvalid: a line lacks a column, or a tag is wrong; the message has its number.
    """
    records = [_record(path, sentence, columns) for sentence in _sentences(path, columns)]
    if not records:
        raise DataInvalid(f"{path}: holds no sentence: fill it or take the set out")
    return records


def sentence_of(
    place: str,
    name: str,
    tokens: Sequence[str],
    tags: Sequence[str],
    scheme: Scheme,
    text: str = "",
) -> Record:
    """A text and the spans that the tags of its tokens mean.

    Args:
        place: file and line, for messages.
        name: the id.
        tokens: in the order of the text.
        tags: one for each.
        scheme: of the tags.
        text: as it was written; where it does not hold the tokens: those with a space between.

    Raises:
        TagInvalid: a tag is unknown to the scheme or breaks the sequence.
    """
    starts = _starts(tokens, text)
    if starts is None:
        text = " ".join(tokens)
        starts = [0, *accumulate(len(token) + 1 for token in tokens)]
    spans = [
        LabelledSpan(starts[s.start], starts[s.end - 1] + len(tokens[s.end - 1]), s.label)
        for s in spans_of(tags, scheme)
    ]
    return record(place, name, text, spans)


def _starts(tokens: Sequence[str], text: str) -> list[int] | None:
    """Where the tokens begin in the text; None where they and white space are not all of it."""
    starts = []
    end = 0
    for token in tokens:
        start = text.find(token, end)
        if start < 0 or text[end:start].strip():
            return None
        starts.append(start)
        end = start + len(token)
    return None if text[end:].strip() else starts


def _record(path: Path, sentence: _Sentence, columns: Columns) -> Record:
    lines = sentence.lines
    tokens = [line.token for line in lines]
    tags = [line.tag for line in lines]
    first = lines[0].number
    try:
        found = sentence_of(
            f"{path}:{first}", str(first), tokens, tags, columns.scheme, sentence.text
        )
    except TagInvalid as error:
        raise DataInvalid(f"{path}:{lines[error.index].number}: {error}") from error
    return replace(found, document=sentence.document)


def _sentences(path: Path, columns: Columns) -> Iterator[_Sentence]:
    lines: list[_Line] = []
    text = document = ""
    # Not splitlines: only line feeds part the lines of a file.
    for number, content in enumerate([*read_text(path).split("\n"), ""], start=1):
        line = content.rstrip("\r")
        is_document_start = line.startswith(_DOCUMENT_START)
        if comment := _COMMENT.match(line):
            text = comment[3] if comment[2] == _TEXT else text
            document = str(number) if comment[1] == _NEW_DOCUMENT else document
        elif line.strip() and not is_document_start:
            lines.append(_line(path, number, line, columns))
        elif lines:
            yield _Sentence(lines, text, document)
            lines, text = [], ""
        if is_document_start:
            document = str(number)


def _line(path: Path, number: int, line: str, columns: Columns) -> _Line:
    parts = line.split("\t") if "\t" in line else re.split(" +", line.strip(" "))
    try:
        token, tag = parts[columns.token].strip(), parts[columns.tag].strip()
    except IndexError:
        token = tag = ""
    if not token or not tag or len(parts) == 1:
        raise DataInvalid(
            f"{path}:{number}: {len(parts)} column(s), where the token is column {columns.token}"
            f" and the tag column {columns.tag}: write both, with a tab or spaces between"
        )
    return _Line(number, token, tag)
