"""`set.json`: what a set's own folder says of it."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.readers.conll import Columns
from training.readers.record import DataInvalid, read_text
from training.readers.splits import NAMES
from training.readers.tag_schemes import Scheme

SET_FILE = "set.json"


@dataclass(frozen=True, slots=True)
class SetFile:
    """The file's fields, each of which may be left out."""

    title: str | None = None
    licence: str | None = None  # SPDX identifier
    unlabelled_types: frozenset[str] | None = None  # their mentions stand in the text as O
    labels: dict[str, str | None] | None = None  # of the set to an entity type; None: to none
    files: dict[str, str] = field(default_factory=dict)  # split to a name in the set's folder
    columns: Columns = field(default_factory=Columns)
    measured: bool = True  # else it has no dev split
    document_in_id: str | None = None  # regular expression of ids with one group


_FIELDS: dict[str, tuple[type, str]] = {
    "title": (str, "a string"),
    "licence": (str, "a string"),
    "unlabelled_types": (list, "a list of entity types"),
    "labels": (dict, "an object from label to entity type"),
    "files": (dict, "an object from split to file name"),
    "scheme": (str, "a string"),
    "token_column": (int, "a whole number"),
    "tag_column": (int, "a whole number"),
    "measured": (bool, "true or false"),
    "document_in_id": (str, "a string"),
}


def read_set_file(folder: Path) -> SetFile:
    """Reads the file.

    Args:
        folder: the set's.

    Returns:
        The fields; all left out where there is no file.

    Raises:
        DataInvalid: it is not JSON, or a field is unknown or wrong.
    """
    path = folder / SET_FILE
    if not path.is_file():
        return SetFile()
    try:
        content = json.loads(read_text(path))
    except ValueError as error:
        raise DataInvalid(f"{path}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataInvalid(f"{path}: not an object: write {{'title': ...}}")
    for name, value in content.items():
        _check(path, name, value)
    unlabelled, files = content.get("unlabelled_types"), content.get("files", {})
    strange = sorted(files.keys() - NAMES.keys())
    if strange:
        raise DataInvalid(f"{path}: files: no split {strange[0]!r}: choose of {', '.join(NAMES)}")
    return SetFile(
        title=content.get("title"),
        licence=content.get("licence"),
        unlabelled_types=None if unlabelled is None else frozenset(unlabelled),
        labels=content.get("labels"),
        files=files,
        columns=Columns(
            content.get("token_column", Columns().token),
            content.get("tag_column", Columns().tag),
            _scheme(path, content.get("scheme", Columns().scheme)),
        ),
        measured=content.get("measured", True),
        document_in_id=_pattern(path, content.get("document_in_id")),
    )


def _check(path: Path, name: str, value: Any) -> None:
    if name not in _FIELDS:
        raise DataInvalid(f"{path}: unknown field '{name}': choose of {', '.join(_FIELDS)}")
    kind, words = _FIELDS[name]
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        raise DataInvalid(f"{path}: {name} is not {words}")
    texts = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    if not all(isinstance(text, str) or (text is None and name == "labels") for text in texts):
        raise DataInvalid(f"{path}: {name} is not {words}")


def _pattern(path: Path, text: str | None) -> str | None:
    """A regular expression with a group, as it was written."""
    try:
        if text and re.compile(text).groups < 1:
            raise DataInvalid(
                f"{path}: document_in_id: {text!r} has no group: put the document's part of an id"
                " in parentheses"
            )
    except re.error as error:
        raise DataInvalid(f"{path}: document_in_id: {text!r}: {error}") from error
    return text


def _scheme(path: Path, name: str) -> Scheme:
    try:
        return Scheme(name)
    except ValueError as error:
        known = ", ".join(Scheme)
        raise DataInvalid(f"{path}: scheme '{name}' is none of {known}") from error
