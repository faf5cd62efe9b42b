"""CoNLL columns: a token and its tag a line, an empty line after each sentence."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.readers.record import DataInvalid, LabelledSpan, Record, read_text, record
from training.readers.tag_schemes import Scheme, TagInvalid, spans_of

_DOCUMENT_START = "-DOCSTART-"
# As in CoNLL-U: `# sent_id = 7`.
_COMMENT = re.compile(r"#\s*\w+\s+=\s")


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


def read(path: Path, columns: Columns) -> list[Record]:
    """Reads a file; its texts are the tokens with a space between.

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
    place: str, name: str, tokens: Sequence[str], tags: Sequence[str], scheme: Scheme
) -> Record:
    """Tokens with a space between, and the spans that their tags mean.

    Raises:
        TagInvalid: a tag is unknown to the scheme or breaks the sequence.
    """
    starts = []
    end = -1
    for token in tokens:
        starts.append(end + 1)
        end += 1 + len(token)
    spans = [
        LabelledSpan(starts[s.start], starts[s.end - 1] + len(tokens[s.end - 1]), s.label)
        for s in spans_of(tags, scheme)
    ]
    return record(place, name, " ".join(tokens), spans)


def _record(path: Path, sentence: Sequence[_Line], columns: Columns) -> Record:
    tokens = [line.token for line in sentence]
    tags = [line.tag for line in sentence]
    first = sentence[0].number
    try:
        return sentence_of(f"{path}:{first}", str(first), tokens, tags, columns.scheme)
    except TagInvalid as error:
        raise DataInvalid(f"{path}:{sentence[error.index].number}: {error}") from error


def _sentences(path: Path, columns: Columns) -> Iterator[list[_Line]]:
    sentence: list[_Line] = []
    # Not splitlines: only line feeds part the lines of a file.
    for number, content in enumerate([*read_text(path).split("\n"), ""], start=1):
        line = content.rstrip("\r")
        if _COMMENT.match(line):
            continue
        if line.strip() and not line.startswith(_DOCUMENT_START):
            sentence.append(_line(path, number, line, columns))
        elif sentence:
            yield sentence
            sentence = []


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
