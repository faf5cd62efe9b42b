"""The labelled sets that the model learns from.

A folder holds `label_map.json` and one folder for each set with `train.jsonl` and `dev.jsonl`: a
JSON object a line, `{"id", "text", "spans": [{"start", "end", "label"}]}`, offsets in code points.
"""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENTITY_TYPES = ("PER", "ORG", "LOC", "MISC")
LABELS = ("O", *(f"{prefix}-{kind}" for kind in ENTITY_TYPES for prefix in "BI"))
_MAP_KEY = "to_conll4"


class DataInvalid(Exception):
    """A file of the data folder is missing or wrong; the message says which, and the line."""


@dataclass(frozen=True, slots=True)
class SourceSet:
    """A published set, its terms, and what it leaves out."""

    name: str
    title: str
    licence: str  # SPDX identifier
    unlabelled_types: frozenset[str] = frozenset()  # their mentions stand in the text as O


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


@dataclass(frozen=True, slots=True)
class Corpus:
    """One split of one set."""

    source: SourceSet
    sha256: str  # of the file that it was read from
    examples: list[Example]


def read_corpus(folder: Path, source: SourceSet, split: str) -> Corpus:
    """Reads a split of a set.

    Args:
        folder: the data folder.
        source: the set.
        split: "train" or "dev".

    Raises:
        DataInvalid: a file is missing, or a line is not an example.
    """
    label_map = _read_label_map(folder / "label_map.json", source.name)
    path = folder / source.name / f"{split}.jsonl"
    content = _read(path)
    if not content.strip():
        raise DataInvalid(f"{path}: holds no example")
    examples = []
    # Not splitlines: a text may hold other line separators raw.
    for number, line in enumerate(content.decode("utf-8").rstrip("\n").split("\n"), start=1):
        try:
            examples.append(_example(line, label_map, source.unlabelled_types))
        except (KeyError, TypeError, ValueError) as error:
            raise DataInvalid(f"{path}:{number}: {_reason(error)}") from error
    return Corpus(source, hashlib.sha256(content).hexdigest(), examples)


def without_texts(corpus: Corpus, texts: Collection[str]) -> Corpus:
    """The corpus without the examples whose text is one of these."""
    kept = [example for example in corpus.examples if example.text not in texts]
    return Corpus(corpus.source, corpus.sha256, kept)


def read_training_corpora(folder: Path, sources: Collection[SourceSet]) -> list[Corpus]:
    """Reads the train splits, less every sentence that stands in one of their dev splits.

    Args:
        folder: the data folder.
        sources: the sets.

    Raises:
        DataInvalid: a file is missing, or a line is not an example.
    """
    held_out = {
        example.text
        for source in sources
        for example in read_corpus(folder, source, "dev").examples
    }
    return [without_texts(read_corpus(folder, source, "train"), held_out) for source in sources]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataInvalid(f"{path}: {error.strerror}; --data names the data folder") from error


def _read_label_map(path: Path, set_name: str) -> dict[str, str | None]:
    try:
        label_map: dict[str, str | None] = json.loads(_read(path))[_MAP_KEY][set_name]
    except (KeyError, TypeError, ValueError) as error:
        raise DataInvalid(f"{path}: no labels at {_MAP_KEY}.{set_name}") from error
    for label, kind in label_map.items():
        if kind is not None and kind not in ENTITY_TYPES:
            raise DataInvalid(f"{path}: {label!r} maps to {kind!r}, not one of {ENTITY_TYPES}")
    return label_map


def _example(
    line: str, label_map: dict[str, str | None], unlabelled_types: frozenset[str]
) -> Example:
    record: dict[str, Any] = json.loads(line)
    text = record["text"]
    if not isinstance(text, str):
        raise TypeError("text is not a string")
    spans = tuple(
        Span(span["start"], span["end"], _mapped(span["label"], label_map))
        for span in sorted(record["spans"], key=lambda span: int(span["start"]))
    )
    end = 0
    for span in spans:
        if not end <= span.start < span.end <= len(text):
            raise ValueError(f"span [{span.start}, {span.end}) is empty, overlaps or is outside")
        end = span.end
    return Example(str(record["id"]), text, spans, unlabelled_types)


def _mapped(label: str, label_map: dict[str, str | None]) -> str | None:
    if label not in label_map:
        raise ValueError(f"label {label!r} is not in label_map.json")
    return label_map[label]


def _reason(error: Exception) -> str:
    return f"no field {error}" if isinstance(error, KeyError) else str(error)
