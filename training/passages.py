"""Passages: consecutive sentences as one text, for a model that reads them in context.

The texts of most sets are single sentences. A document that is sent to the service in texts that
fit in a window is read with what stands beside each sentence, and a name that is hard to tell there
may stand clear in the next one. A model makes use of it if it has learned such texts, from people
or from a teacher that has read them so.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from training.data import ENTITY_TYPES, Corpus, Example, join
from training.written_set import OPEN_LABEL, write_set_file, write_split

SEPARATORS = {"space": " ", "line": "\n"}


@dataclass(frozen=True, slots=True)
class Packing:
    """How sentences are put together."""

    length: Callable[[str], int]  # of a text, in tokens without special ones
    most: int  # that a passage holds; a longer sentence stays alone
    separator: str = SEPARATORS["space"]


def packed(
    examples: Iterable[Example], packing: Packing, most_at_first: int | None = None
) -> Iterator[Example]:
    """Joins what follows each other in a document as far as there is room.

    Args:
        examples: consecutive sentences.
        packing: how.
        most_at_first: that the first of each document holds, so that the others begin elsewhere;
            None: as many as the others.

    Yields:
        Every sentence once and in order, alone or in a passage.
    """
    for _, document in groupby(examples, key=lambda example: example.document):
        room = packing.most if most_at_first is None else most_at_first
        passage, *rest = document
        taken = packing.length(passage.text)
        for example in rest:
            needed = packing.length(example.text)
            if taken + needed <= room:
                passage = join(passage, example, packing.separator)
                taken += needed
            else:
                yield passage
                passage, taken, room = example, needed, packing.most
        yield passage


def layouts(examples: Sequence[Example], packing: Packing, count: int) -> Iterator[Example]:
    """Packs the same sentences several times, with other borders each time.

    Args:
        examples: consecutive sentences.
        packing: how.
        count: of the times; at least 1.

    Yields:
        The passages of the first time, then of each further time those that are new.
    """
    seen: set[str] = set()
    for i in range(count):
        drawn = list(packed(examples, packing, packing.most * (count - i) // count))
        yield from (passage for passage in drawn if passage.text not in seen)
        seen.update(passage.text for passage in drawn)


def has_documents(corpus: Corpus) -> bool:
    """Whether the set says of some sentence what document it is of."""
    return any(example.document for example in corpus.examples)


def in_documents(corpus: Corpus) -> Corpus:
    """The same sentences as whole documents, a sentence a line.

    Args:
        corpus: its sentences in order; one whose document it does not say stays alone.
    """
    return replace(corpus, examples=list(_documents(corpus.examples)))


def _documents(examples: Iterable[Example]) -> Iterator[Example]:
    for name, sentences in groupby(examples, key=lambda example: example.document):
        if name:
            yield _joined([*sentences])
        else:
            yield from sentences


def _joined(sentences: Sequence[Example]) -> Example:
    if len(sentences) == 1:
        return sentences[0]
    half = len(sentences) // 2  # one by one, a long document would be copied for each sentence
    return join(_joined(sentences[:half]), _joined(sentences[half:]), SEPARATORS["line"])


def write_passages(folder: Path, corpus: Corpus, split: str, passages: Iterable[Example]) -> int:
    """Writes a split of a set whose texts are passages.

    Args:
        folder: of the set; made if it is not there.
        corpus: says what the set is.
        split: "train" or "dev".
        passages: its texts.

    Returns:
        How many they are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = corpus.source
    about = {
        "title": f"{source.title} (passages)",
        "licence": source.licence,
        "unlabelled_types": sorted(source.unlabelled_types),
        "labels": {kind: kind for kind in ENTITY_TYPES} | {OPEN_LABEL: None},
        "measured": source.is_measured,
    }
    write_set_file(folder, about)
    return write_split(folder / f"{split}.jsonl", ((p.text, p.spans) for p in passages))
