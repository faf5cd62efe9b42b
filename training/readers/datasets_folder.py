"""Hugging Face `datasets` folders: what `save_to_disk` wrote, with tokens and tags a row."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.readers.conll import Token, sentence_of
from training.readers.record import DataInvalid, Record
from training.readers.tag_schemes import Scheme

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOKENS = "tokens"
_TAGS = "ner_tags"
_MARK = "dataset_info.json"


def is_datasets_folder(path: Path) -> bool:
    """Whether a folder holds one saved split."""
    return (path / _MARK).is_file()


def read(path: Path, scheme: Scheme) -> list[Record]:
    """Reads a folder; its texts are the tokens with a space between.

    Args:
        path: what `save_to_disk` wrote for one split, columns `tokens` and `ner_tags`; the tags
            are strings or a ClassLabel, which has the names.
        scheme: how to read the tags.

    Raises:
        DataInvalid: a column is missing or a row is wrong; the message has its number, from 0.
    """
    try:
        import datasets  # type: ignore[import-untyped]  # ships no types
    except ImportError as error:
        raise DataInvalid(
            f"{path}: a folder of Hugging Face datasets: pip install datasets"
        ) from error
    try:
        rows = datasets.load_from_disk(str(path))
    except (OSError, ValueError) as error:
        raise DataInvalid(f"{path}: cannot be loaded: {error}") from error
    for column in (_TOKENS, _TAGS):
        if column not in rows.column_names:
            raise DataInvalid(
                f"{path}: no column '{column}' among {rows.column_names}: rename_column gives it"
            )
    names = getattr(getattr(rows.features[_TAGS], "feature", None), "names", None)
    records = [_record(f"{path}:row {i}", str(i), row, names, scheme) for i, row in enumerate(rows)]
    if not records:
        raise DataInvalid(f"{path}: holds no row: fill it or take the set out")
    return records


def _record(
    place: str, name: str, row: dict[str, Any], names: "Sequence[str] | None", scheme: Scheme
) -> Record:
    tokens, tags = row[_TOKENS], row[_TAGS]
    if len(tokens) != len(tags):
        raise DataInvalid(f"{place}: {len(tokens)} tokens and {len(tags)} tags: write one each")
    for i, token in enumerate(tokens):
        if not token or token != token.strip():
            raise DataInvalid(f"{place}: token {i} is empty or has white space at an end: strip it")
    tagged = [
        Token(f"{place}: token {i}", token, _name(place, tag, names))
        for i, (token, tag) in enumerate(zip(tokens, tags, strict=True))
    ]
    return sentence_of(place, name, tagged, scheme)


def _name(place: str, tag: int | str, names: "Sequence[str] | None") -> str:
    if isinstance(tag, str):
        return tag
    if names is None:
        raise DataInvalid(f"{place}: {_TAGS} has numbers without names: cast it to ClassLabel")
    if not 0 <= tag < len(names):
        raise DataInvalid(f"{place}: tag {tag} is none of the {len(names)} names: correct it")
    return names[tag]
