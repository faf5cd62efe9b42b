"""The labelled sets that the model learns from, as records: sets, texts, mentions."""

from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.readers.record import DataInvalid as DataInvalid

ENTITY_TYPES = ("PER", "ORG", "LOC", "MISC")
LABELS = ("O", *(f"{prefix}-{kind}" for kind in ENTITY_TYPES for prefix in "BI"))
# What teachers think of a text: probabilities, float16 [tokens, labels], special tokens left out;
# with what one of them holds of each token (training.features): [tokens, labels + FEATURES].
Answer: TypeAlias = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class SourceSet:
    """A published set, its terms, and what it leaves out."""

    name: str
    title: str
    licence: str  # SPDX identifier
    unlabelled_types: frozenset[str] = frozenset()  # their mentions stand in the text as O
    is_measured: bool = True  # by its dev split; bare text never is
    # Regular expression of ids whose first group is the document that a text follows others in;
    # empty: ids do not tell.
    document_in_id: str = ""

    @property
    def is_bare_text(self) -> bool:
        """Whether it labels nothing: teachers may say what is in it, and nothing is measured."""
        return self.unlabelled_types.issuperset(ENTITY_TYPES)

    @property
    def has_dev(self) -> bool:
        """Whether there is a dev split to measure a model by."""
        return self.is_measured and not self.is_bare_text


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
