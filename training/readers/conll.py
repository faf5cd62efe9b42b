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
# As in CoNLL-U: `# sent_id = 7`, `# newdoc`, `# newdoc id = a`, `# newpar id = b`; a tab there is
# one of columns, of which the first is a number sign.
_COMMENT = re.compile(r"# *(?:(new(?:doc|par))(?: +id += .*)?$|([^\s=]+) += (.*))")
_TEXT = "text"
_NEW_DOCUMENT = "newdoc"


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a line's parts stand, and how its tag is meant; as in Python, -1 is the last."""

    token: int = 0
    tag: int = -1
    scheme: Scheme = Scheme.IOB2


@dataclass(frozen=True, slots=True)
class Token:
    """A token as its file has it."""

    place: str  # file and line, for messages
    text: str
    tag: str


@dataclass(frozen=True, slots=True)
class _Sentence:
    number: int  # of its first line, from 1
    tokens: list[Token]
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
    records = [_record(sentence, columns.scheme) for sentence in _sentences(path, columns)]
    if not records:
        raise DataInvalid(f"{path}: holds no sentence: fill it or take the set out")
    return records


def sentence_of(
    place: str,
    name: str,
    tokens: Sequence[Token],
    scheme: Scheme,
    text: str = "",
) -> Record:
    """A text and the spans that the tags of its tokens mean.

    Args:
        place: of the sentence: file and line, for messages.
        name: the id.
        tokens: in the order of the text.
        scheme: of their tags.
        text: as it was written; where it does not hold the tokens: those with a space between.

    Raises:
        DataInvalid: a tag is unknown to the scheme or breaks the sequence.
    """
    words = [token.text for token in tokens]
    starts = _starts(words, text)
    if starts is None:
        text = " ".join(words)
        starts = [0, *accumulate(len(word) + 1 for word in words)]
    try:
        marked = spans_of([token.tag for token in tokens], scheme)
    except TagInvalid as error:
        raise DataInvalid(f"{tokens[error.index].place}: {error}") from error
    spans = [
        LabelledSpan(
            starts[span.start],
            starts[span.end - 1] + len(words[span.end - 1]),
            span.label,
            tokens[span.start].place,
        )
        for span in marked
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


def _record(sentence: _Sentence, scheme: Scheme) -> Record:
    tokens = sentence.tokens
    found = sentence_of(tokens[0].place, str(sentence.number), tokens, scheme, sentence.text)
    return replace(found, document=sentence.document)


def _sentences(path: Path, columns: Columns) -> Iterator[_Sentence]:
    tokens: list[Token] = []
    first = 0
    text = document = ""
    # Not splitlines: only line feeds part the lines of a file.
    for number, content in enumerate([*read_text(path).split("\n"), ""], start=1):
        line = content.rstrip("\r")
        is_document_start = line.startswith(_DOCUMENT_START)
        if comment := _COMMENT.match(line):
            text = comment[3] if comment[2] == _TEXT else text
            document = str(number) if comment[1] == _NEW_DOCUMENT else document
        elif line.strip() and not is_document_start:
            first = first if tokens else number
            tokens.append(_token(f"{path}:{number}", line, columns))
        elif tokens:
            yield _Sentence(first, tokens, text, document)
            tokens, text = [], ""
        if is_document_start:
            document = str(number)


def _token(place: str, line: str, columns: Columns) -> Token:
    parts = line.split("\t") if "\t" in line else re.split(" +", line.strip(" "))
    try:
        token, tag = parts[columns.token].strip(), parts[columns.tag].strip()
    except IndexError:
        token = tag = ""
    if not token or not tag or len(parts) == 1:
        raise DataInvalid(
            f"{place}: {len(parts)} column(s), where the token is column {columns.token}"
            f" and the tag column {columns.tag}: write both, with a tab or spaces between"
        )
    return Token(place, token, tag)
