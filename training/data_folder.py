"""A data folder: a folder for each set, with its `train` and `dev` split.

A split may have any form that `training.readers` knows. What a set's labels mean stands in its
`set.json` or, for many sets at once, in the data folder's `label_map.json`; where neither is, its
labels are entity types. A set all of whose types are `unlabelled_types` is bare text and needs no
`dev` split.
"""

import hashlib
import json
import logging
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from training.data import ENTITY_TYPES, Corpus, DataInvalid, Example, SourceSet, Span
from training.duplicates import find_duplicates, without_texts
from training.readers import splits
from training.readers.record import LabelledSpan, Record, read_text
from training.set_file import SET_FILE, read_set_file
from training.sources import read_revision

_log = logging.getLogger(__name__)
_MAP_FILE = "label_map.json"
_MAP_KEY = "to_conll4"
_LICENCE_UNKNOWN = "NOASSERTION"  # SPDX's own word for it
_NO_MISC = frozenset({"MISC"})
ENGLISH_SETS = (
    SourceSet(
        "uner_en_ewt",
        "Universal NER, English EWT",
        "CC-BY-SA-4.0",
        _NO_MISC,
        document_in_id=r"(.+)-\d+",
    ),
    SourceSet("wikigold", "Wikigold", "CC-BY-4.0", document_in_id=r"(.+?)-?s\d+"),
    SourceSet("btc", "Broad Twitter Corpus", "CC-BY-4.0", _NO_MISC),
    SourceSet("wnut17", "WNUT 2017 Emerging Entities", "CC-BY-4.0"),
    SourceSet("crossner", "CrossNER (text of Wikipedia)", "MIT AND CC-BY-SA-3.0"),
    SourceSet("tweebank_ner", "Tweebank-NER", "Apache-2.0"),
)


def find_sets(folder: Path, names: Sequence[str] = ()) -> list[SourceSet]:
    """The sets of a data folder: those that are known, and those with a `set.json`.

    Args:
        folder: the data folder.
        names: only these, and all of them; empty: whatever is there.

    Raises:
        DataInvalid: there is no such folder or set, or a `set.json` is wrong.
    """
    if not folder.is_dir():
        raise DataInvalid(f"{folder}: No such file or directory; --data names the data folder")
    known = {source.name: source for source in ENGLISH_SETS}
    found = names or [
        *(name for name in known if (folder / name).is_dir()),
        *sorted(path.parent.name for path in folder.glob(f"*/{SET_FILE}")),
    ]
    if not found:
        raise DataInvalid(
            f"{folder}: holds no set: write {SET_FILE} into the folder of each that is to be used"
        )
    return [_described(folder, name, known.get(name)) for name in dict.fromkeys(found)]


def unused_folders(folder: Path) -> list[str]:
    """Folders with the files of a set that `find_sets` passes over, as no `set.json` is there.

    Args:
        folder: the data folder.
    """
    known = {source.name for source in ENGLISH_SETS}
    return sorted(
        path.name
        for path in folder.iterdir()
        if path.is_dir()
        and path.name not in known
        and not (path / SET_FILE).exists()
        and splits.has_split(path)
    )


def read_corpus(folder: Path, source: SourceSet, split: str) -> Corpus:
    """Reads a split of a set.

    Args:
        folder: the data folder.
        source: the set.
        split: "train" or "dev".

    Raises:
        DataInvalid: a file is missing, or something in it is wrong.
    """
    about = read_set_file(folder / source.name)
    if about.labels is not None:
        labels, where = about.labels, folder / source.name / SET_FILE
    else:
        labels, where = _read_label_map(folder, source)
    _check_types(where, [kind for kind in labels.values() if kind is not None])
    place = folder / source.name
    path = place / about.files[split] if split in about.files else splits.find_split(place, split)
    records = splits.read(path, about.columns)
    examples = [_example(record, labels, where, source) for record in records]
    return Corpus(source, _sha256(path), examples, read_revision(folder))


def read_training_corpora(
    folder: Path, sources: Collection[SourceSet], *, drop_duplicates: bool = False
) -> list[Corpus]:
    """Reads the train splits, none of whose sentences stands in one of their dev splits.

    Args:
        folder: the data folder.
        sources: the sets.
        drop_duplicates: leave such sentences out of the train splits; else they are refused.

    Raises:
        DataInvalid: a file is missing or wrong, a sentence is in both, or every one is.
    """
    trained = [read_corpus(folder, source, "train") for source in sources]
    measured = [read_corpus(folder, source, "dev") for source in sources if source.has_dev]
    duplicates = find_duplicates(trained, measured)
    if duplicates and not drop_duplicates:
        first = duplicates[0]
        raise DataInvalid(
            f"{first.trained.place}: the same text as {first.measured.place}, and"
            f" {len(duplicates) - 1} more such: what is measured must not be learned;"
            " --drop-duplicates leaves them out of training"
        )
    if duplicates:
        _log.info("%d training sentences that are also measured: left out", len(duplicates))
    texts = {duplicate.trained.text for duplicate in duplicates}
    left = [without_texts(corpus, texts) for corpus in trained]
    if not any(corpus.examples for corpus in left):
        names = ", ".join(source.name for source in sources)
        raise DataInvalid(
            f"{names}: every sentence to learn is also measured, so none is left: give train and"
            " dev sentences of their own"
        )
    return left


def read_dev_corpora(folder: Path, sources: Iterable[SourceSet]) -> list[Corpus]:
    """Reads the dev splits of the sets that are measured.

    Args:
        folder: the data folder.
        sources: the sets.

    Returns:
        At least one.

    Raises:
        DataInvalid: a file is missing or wrong, or no set can be measured.
    """
    measured = [source for source in sources if source.has_dev]
    if not measured:
        raise DataInvalid(
            f"{folder}: nothing can be measured: each set labels nothing or is not to be measured"
        )
    return [read_corpus(folder, source, "dev") for source in measured]


def check_labelled(sources: Collection[SourceSet]) -> None:
    """Refuses to learn a type that no set labels.

    None would tell what is not of that type, so the model would find it anywhere.

    Args:
        sources: the sets to learn.

    Raises:
        DataInvalid: there is such a type.
    """
    for kind in ENTITY_TYPES:
        if all(kind in source.unlabelled_types for source in sources):
            names = ", ".join(source.name for source in sources)
            raise DataInvalid(
                f"none of {names} labels {kind}: take it out of unlabelled_types in one {SET_FILE}"
            )


def check_bare(sources: Iterable[SourceSet]) -> None:
    """Refuses sets that people have labelled, where something else is to say what is in them.

    Args:
        sources: the sets.

    Raises:
        DataInvalid: one has labels.
    """
    for source in sources:
        if not source.is_bare_text:
            raise DataInvalid(
                f"{source.name}: has labels already; choose --sets of bare text, whose"
                " unlabelled_types name every type"
            )


def _described(folder: Path, name: str, known: SourceSet | None) -> SourceSet:
    """What `set.json` says, else what is known of the set."""
    about = read_set_file(folder / name)
    if known is None and not (folder / name).is_dir():
        raise DataInvalid(f"{folder / name}: No such file or directory")
    source = known or SourceSet(name, name, _LICENCE_UNKNOWN)
    unlabelled = about.unlabelled_types
    _check_types(folder / name / SET_FILE, unlabelled or ())
    return SourceSet(
        name,
        about.title or source.title,
        about.licence or source.licence,
        source.unlabelled_types if unlabelled is None else unlabelled,
        about.measured,
        source.document_in_id if about.document_in_id is None else about.document_in_id,
    )


def _check_types(path: Path, kinds: Collection[str]) -> None:
    for kind in kinds:
        if kind not in ENTITY_TYPES:
            raise DataInvalid(f"{path}: {kind!r} is none of {', '.join(ENTITY_TYPES)}")


def _read_label_map(folder: Path, source: SourceSet) -> tuple[dict[str, str | None], Path]:
    """What the labels mean, and the file that says so or might."""
    path = folder / _MAP_FILE
    if source.is_bare_text or not path.exists():
        return {kind: kind for kind in ENTITY_TYPES}, folder / source.name / SET_FILE
    try:
        label_map: dict[str, str | None] = json.loads(read_text(path))[_MAP_KEY][source.name]
    except (KeyError, TypeError, ValueError) as error:
        raise DataInvalid(f"{path}: no labels at {_MAP_KEY}.{source.name}") from error
    return label_map, path


def _example(
    record: Record,
    labels: dict[str, str | None],
    where: Path,
    source: SourceSet,
) -> Example:
    spans = tuple(_span(record, span, labels, where) for span in record.spans)
    return Example(
        record.id,
        record.text,
        spans,
        source.unlabelled_types,
        record.place,
        document=record.document or _document(record.id, source.document_in_id),
    )


def _document(name: str, pattern: str) -> str:
    """The part of a text's id that names its document; empty: none does."""
    match = re.fullmatch(pattern, name) if pattern else None
    return (match[1] or "") if match else ""


def _span(record: Record, span: LabelledSpan, labels: dict[str, str | None], where: Path) -> Span:
    if span.label not in labels:
        known = ", ".join(labels)
        raise DataInvalid(
            f"{span.place or record.place}: label {span.label!r} is none of {known}: correct it,"
            f" or add it to the labels of {where}"
        )
    return Span(span.start, span.end, labels[span.label])


def _sha256(path: Path) -> str:
    """Of a file, or of the files in a folder, by name."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    parts = sorted(part for part in path.rglob("*") if part.is_file())
    listed = [f"{_sha256(part)}  {part.relative_to(path).as_posix()}\n" for part in parts]
    return hashlib.sha256("".join(listed).encode()).hexdigest()
