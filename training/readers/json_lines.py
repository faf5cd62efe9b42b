"""JSON Lines: an object a line, `{"id", "text", "spans": [{"start", "end", "label"}]}`.

Lines that follow each other in a document may name it: `"document"`.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from training.readers.record import DataInvalid, LabelledSpan, Record, read_text, record

_T = TypeVar("_T")


def read(path: Path) -> list[Record]:
    """Reads a file.

    Args:
        path: the file; offsets in code points, an `id` may be left out.

    Raises:
        DataInvalid: a line is no such object; the message has its number.
    """
    # Not splitlines: a text may hold other line separators raw.
    lines = read_text(path).rstrip("\n").split("\n")
    return [_record(f"{path}:{i}", i, line) for i, line in enumerate(lines, start=1)]


def _record(place: str, number: int, line: str) -> Record:
    try:
        content = json.loads(line)
    except ValueError as error:
        raise DataInvalid(f"{place}: not JSON: {error}; write one object a line") from error
    if not isinstance(content, dict):
        raise DataInvalid(f"{place}: not an object: write {{'text': ..., 'spans': [...]}}")
    text = _field(place, content, "text", str, "a string")
    marked = _field(place, content, "spans", list, "a list")
    name = str(content.get("id", number))
    document = str(content.get("document", ""))
    return replace(record(place, name, text, _spans(place, marked)), document=document)


def _spans(place: str, marked: list[Any]) -> Iterator[LabelledSpan]:
    for span in marked:
        if not isinstance(span, dict):
            raise DataInvalid(f"{place}: a span is not an object with start, end and label")
        yield LabelledSpan(
            _field(place, span, "start", int, "a whole number"),
            _field(place, span, "end", int, "a whole number"),
            _field(place, span, "label", str, "a string"),
        )


def _field(place: str, content: dict[str, Any], name: str, kind: type[_T], words: str) -> _T:
    if name not in content:
        raise DataInvalid(f"{place}: no field '{name}': add it")
    value = content[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DataInvalid(f"{place}: {name} is not {words}")
    return value
