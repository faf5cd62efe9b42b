"""The labelled sets that the model learns from.

A data folder holds a folder for each set with its `train` and `dev` split, in any form that
`training.readers` knows. What a set's labels mean stands in its `set.json` or, for many sets
at once, in the data folder's `label_map.json`; where neither is, its labels are entity types.
A set all of whose types are `unlabelled_types` is bare text and needs no `dev` split.
"""

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.readers import splits
from training.readers.record import DataInvalid as DataInvalid
from training.readers.record import LabelledSpan, Record, read_text
from training.set_file import SET_FILE, read_set_file
from training.sources import read_revision

_log = logging.getLogger(__name__)
ENTITY_TYPES = ("PER", "ORG", "LOC", "MISC")
LABELS = ("O", *(f"{prefix}-{kind}" for kind in ENTITY_TYPES for prefix in "BI"))
# What teachers think of a text: probabilities, float16 [tokens, labels], special tokens left out;
# with what one of them holds of each token (training.features): [tokens, labels + FEATURES].
Answer: TypeAlias = NDArray[np.float16]
_MAP_FILE = "label_map.json"
_MAP_KEY = "to_conll4"
_LICENCE_UNKNOWN = "NOASSERTION"  # SPDX's own word for it


@dataclass(frozen=True, slots=True)
class SourceSet:
    """A published set, its terms, and what it leaves out."""

    name: str
    title: str
    licence: str  # SPDX identifier
    unlabelled_types: frozenset[str] = frozenset()  # their mentions stand in the text as O
    is_measured: bool = True  # by its dev split; bare text never is

    @property
    def is_bare_text(self) -> bool:
        """Whether it labels nothing: teachers may say what is in it, and nothing is measured."""
        return self.unlabelled_types.issuperset(ENTITY_TYPES)

    @property
    def has_dev(self) -> bool:
        """Whether there is a dev split to measure a model by."""
        return self.is_measured and not self.is_bare_text


_NO_MISC = frozenset({"MISC"})
ENGLISH_SETS = (
    SourceSet("uner_en_ewt", "Universal NER, English EWT", "CC-BY-SA-4.0", _NO_MISC),
    SourceSet("wikigold", "Wikigold", "CC-BY-4.0"),
    SourceSet("btc", "Broad Twitter Corpus", "CC-BY-4.0", _NO_MISC),
    SourceSet("wnut17", "WNUT 2017 Emerging Entities", "CC-BY-4.0"),
    SourceSet("crossner", "CrossNER (text of Wikipedia)", "MIT AND CC-BY-SA-3.0"),
    SourceSet("tweebank_ner", "Tweebank-NER", "Apache-2.0"),
)


@dataclass(frozen=True, slots=True)
class Span:
    """A mention: code points [start, end); no label where the set's has no counterpart here."""

    start: int
    end: int
    label: str | None  # one of ENTITY_TYPES


@dataclass(frozen=True, slots=True)
class Example:
    """A text with its mentions, in text order and apart from each other."""

    id: str
    text: str
    spans: tuple[Span, ...]
    unlabelled_types: frozenset[str] = frozenset()
    place: str = field(default="", compare=False)  # file and line that it was read from
    # Of the parts of the text that teachers were asked about, with where each begins.
    answers: tuple[tuple[int, Answer], ...] = field(default=(), compare=False)
    document: str = field(default="", compare=False)  # it follows others in; empty: not said


@dataclass(frozen=True, slots=True)
class Corpus:
    """One split of one set."""

    source: SourceSet
    sha256: str  # of the file that it was read from
    examples: list[Example]
    revision: str | None = None  # commit of the repository that it was taken from


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A training example whose text is also measured."""

    trained: Example
    measured: Example


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
        labels, where = _read_label_map(folder, source), folder / _MAP_FILE
    _check_types(where, [kind for kind in labels.values() if kind is not None])
    place = folder / source.name
    path = place / about.files[split] if split in about.files else splits.find_split(place, split)
    records = splits.read(path, about.columns)
    examples = [_example(record, labels, where, source.unlabelled_types) for record in records]
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


def find_duplicates(trained: Iterable[Corpus], measured: Iterable[Corpus]) -> list[Duplicate]:
    """The training examples whose text, white space aside, is also measured.

    Args:
        trained: the train splits.
        measured: the dev splits.
    """
    by_letters = {_letters(e.text): e for corpus in measured for e in corpus.examples}
    return [
        Duplicate(example, by_letters[_letters(example.text)])
        for corpus in trained
        for example in corpus.examples
        if _letters(example.text) in by_letters
    ]


def join(first: Example, second: Example, separator: str) -> Example:
    """Two examples of one set as one text.

    Args:
        first: comes first and gives the id.
        second: follows.
        separator: stands between the texts.
    """
    shift = len(first.text) + len(separator)
    moved = tuple(Span(s.start + shift, s.end + shift, s.label) for s in second.spans)
    answers = tuple((start + shift, answer) for start, answer in second.answers)
    text = first.text + separator + second.text
    return replace(first, text=text, spans=first.spans + moved, answers=first.answers + answers)


def without_texts(corpus: Corpus, texts: Collection[str]) -> Corpus:
    """The corpus without the examples whose text is one of these."""
    kept = [example for example in corpus.examples if example.text not in texts]
    return replace(corpus, examples=kept)


def _letters(text: str) -> str:
    """A text less its white space, which columns put before every full stop."""
    return "".join(text.split())


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
    )


def _check_types(path: Path, kinds: Collection[str]) -> None:
    for kind in kinds:
        if kind not in ENTITY_TYPES:
            raise DataInvalid(f"{path}: {kind!r} is none of {', '.join(ENTITY_TYPES)}")


def _read_label_map(folder: Path, source: SourceSet) -> dict[str, str | None]:
    path = folder / _MAP_FILE
    if source.is_bare_text or not path.exists():
        return {kind: kind for kind in ENTITY_TYPES}
    try:
        label_map: dict[str, str | None] = json.loads(read_text(path))[_MAP_KEY][source.name]
    except (KeyError, TypeError, ValueError) as error:
        raise DataInvalid(f"{path}: no labels at {_MAP_KEY}.{source.name}") from error
    return label_map


def _example(
    record: Record,
    labels: dict[str, str | None],
    where: Path,
    unlabelled_types: frozenset[str],
) -> Example:
    spans = tuple(_span(record, span, labels, where) for span in record.spans)
    return Example(
        record.id,
        record.text,
        spans,
        unlabelled_types,
        record.place,
        document=record.document,
    )


def _span(record: Record, span: LabelledSpan, labels: dict[str, str | None], where: Path) -> Span:
    if span.label not in labels:
        known = ", ".join(labels)
        raise DataInvalid(
            f"{span.place or record.place}: label {span.label!r} is none of {known}: correct it,"
            f" or add it to {where}"
        )
    return Span(span.start, span.end, labels[span.label])


def _sha256(path: Path) -> str:
    """Of a file, or of the files in a folder, by name."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    parts = sorted(part for part in path.rglob("*") if part.is_file())
    listed = [f"{_sha256(part)}  {part.relative_to(path).as_posix()}\n" for part in parts]
    return hashlib.sha256("".join(listed).encode()).hexdigest()
