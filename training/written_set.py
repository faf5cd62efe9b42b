"""A set that is made here: its files as `training.data` reads them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from training.data import DataInvalid, Span
from training.set_file import SET_FILE

# What a span of no type is called in the file; "labels" of its set.json maps it to null.
OPEN_LABEL = "?"
Sentence: TypeAlias = tuple[str, Sequence[Span]]


def check_absent(folders: Iterable[Path]) -> None:
    """Refuses to write sets over others, which people may have labelled.

    Args:
        folders: of the sets that are to be written.

    Raises:
        DataInvalid: one is there.
    """
    for folder in folders:
        if folder.exists():
            raise DataInvalid(f"{folder}: is there already: name another folder with --into")


def write_set_file(folder: Path, about: Mapping[str, object]) -> None:
    """Writes what a set's folder says of it.

    Args:
        folder: of the set.
        about: the fields of `training.set_file`.
    """
    (folder / SET_FILE).write_text(json.dumps(about, indent=2) + "\n", "utf-8")


def write_split(path: Path, sentences: Iterable[Sentence]) -> int:
    """Writes sentences as JSON Lines.

    Args:
        path: the file.
        sentences: texts with their spans.

    Returns:
        How many they are.
    """
    lines = [
        json.dumps(
            {
                "text": text,
                "spans": [
                    {"start": s.start, "end": s.end, "label": s.label or OPEN_LABEL} for s in spans
                ],
            },
            ensure_ascii=False,
        )
        for text, spans in sentences
    ]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return len(lines)
