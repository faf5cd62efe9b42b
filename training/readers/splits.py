"""Finding a set's split, and the reader for what is there."""

from pathlib import Path

from training.readers import conll, datasets_folder, json_lines
from training.readers.conll import Columns
from training.readers.record import DataInvalid, Record

# What a split may be called.
NAMES = {"train": ("train",), "dev": ("dev", "valid", "validation", "val")}
_JSON = (".jsonl", ".json")
_COLUMNS = (".conll", ".iob", ".iob2", ".bio", ".tsv", ".txt")


def find_split(folder: Path, split: str) -> Path:
    """The file or folder of a split.

    Args:
        folder: the set's.
        split: "train" or "dev", which may also be called valid, val or validation.

    Raises:
        DataInvalid: none or several are there.
    """
    found = _found(folder, split)
    if not found:
        name, *_ = NAMES[split]
        raise DataInvalid(
            f"{folder}: No such file: {name}.jsonl, {name}.conll or a datasets folder"
            f" {name}; --data names the data folder, set.json may name the file"
        )
    if len(found) > 1:
        listed = ", ".join(path.name for path in found)
        raise DataInvalid(f"{folder}: {listed} are all the {split} split: keep one")
    return found[0]


def has_split(folder: Path) -> bool:
    """Whether a folder holds any split.

    Args:
        folder: of a set, perhaps.
    """
    return any(_found(folder, split) for split in NAMES)


def read(path: Path, columns: Columns = Columns()) -> list[Record]:  # noqa: B008 - it is frozen
    """Reads a split with the reader for what is there.

    Args:
        path: a file of JSON Lines or CoNLL columns, or a folder that `save_to_disk` wrote.
        columns: which column is what, where there are columns, and the scheme of the tags.

    Raises:
        DataInvalid: it is missing or wrong; the message says where and what to change.
    """
    if path.is_dir():
        return datasets_folder.read(path, columns.scheme)
    if path.suffix in _JSON:
        return json_lines.read(path)
    return conll.read(path, columns)


def _found(folder: Path, split: str) -> list[Path]:
    return [
        path
        for name in NAMES[split]
        for path in (
            folder / name,
            *(folder / f"{name}{suffix}" for suffix in (*_JSON, *_COLUMNS)),
        )
        if path.is_file() or datasets_folder.is_datasets_folder(path)
    ]
