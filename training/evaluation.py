"""Entity F1: how many of the spans that people marked a model finds, and how many it makes up."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from inference.core import Entity
from training.data import ENTITY_TYPES, Corpus, Example, SourceSet, Span
from training.recognition import Recognizer


@dataclass(frozen=True, slots=True)
class Quality:
    """Precision, recall and F1 in percent; a span counts where both its ends and type are right."""

    precision: float
    recall: float
    f1: float
    support: int = 0  # spans that people marked


@dataclass(frozen=True, slots=True)
class SetQuality:
    """The quality on one set, by entity type."""

    types: Mapping[str, Quality]  # of each type that the set annotates
    micro: Quality  # every span counts the same
    macro: Quality  # every type that occurs counts the same


@dataclass(frozen=True, slots=True)
class Findings:
    """What a model found in a corpus, as far as people say whether it is right."""

    corpus: Corpus
    entities: list[list[Entity]]  # of each example, in order, whatever their scores
    min_score: float = 0.0  # least score of those that the service returns unless it is asked

    @property
    def returned(self) -> list[list[Entity]]:
        """Those of each example that the service returns."""
        return [[e for e in found if e.score >= self.min_score] for found in self.entities]


def find(recognizer: Recognizer, corpus: Corpus) -> Findings:
    """Runs a model over a corpus, decoding as the service does.

    What it finds on a mention whose label has no counterpart here is neither right nor wrong, and
    is left out.

    Args:
        recognizer: the model.
        corpus: texts with their spans.
    """
    found = recognizer.recognize([example.text for example in corpus.examples], min_score=0.0)
    known = list(map(_known, corpus.examples, found))
    return Findings(corpus, known, recognizer.decoder.min_score)


def evaluate(recognizer: Recognizer, corpus: Corpus) -> Quality:
    """Compares what a model finds with what people marked, over the types that the set annotates.

    Args:
        recognizer: the model.
        corpus: texts with their spans.
    """
    return set_quality(find(recognizer, corpus)).micro


def set_quality(findings: Findings) -> SetQuality:
    """Compares what was found with what people marked, for each type and together.

    Args:
        findings: of one set.
    """
    types = scored_types(findings.corpus.source)
    by_type = {kind: _quality_of(findings, {kind}) for kind in types}
    return SetQuality(
        by_type,
        _quality_of(findings, types),
        mean_quality([measured for measured in by_type.values() if measured.support]),
    )


def scored_types(source: SourceSet) -> tuple[str, ...]:
    """The types that a set annotates: what is found of another type is neither right nor wrong.

    Args:
        source: the set.
    """
    return tuple(kind for kind in ENTITY_TYPES if kind not in source.unlabelled_types)


def quality(gold: Sequence[frozenset[Span]], found: Sequence[frozenset[Span]]) -> Quality:
    """Micro-averaged precision, recall and F1.

    Args:
        gold: what each text holds.
        found: what was found in it.
    """
    right = sum(len(g & f) for g, f in zip(gold, found, strict=True))
    support = sum(map(len, gold))
    precision = _percent(right, sum(map(len, found)))
    recall = _percent(right, support)
    both = precision + recall
    return Quality(precision, recall, 2 * precision * recall / both if both else 0.0, support)


def mean_quality(qualities: Collection[Quality]) -> Quality:
    """The mean of each figure, and the sum of the supports.

    Args:
        qualities: of types or of sets; none give zeros.
    """
    if not qualities:
        return Quality(0.0, 0.0, 0.0)
    return Quality(
        fmean(measured.precision for measured in qualities),
        fmean(measured.recall for measured in qualities),
        fmean(measured.f1 for measured in qualities),
        sum(measured.support for measured in qualities),
    )


def gold_spans(example: Example, types: Collection[str]) -> frozenset[Span]:
    """The marked spans of these types."""
    return frozenset(span for span in example.spans if span.label in types)


def entity_spans(entities: Sequence[Entity], types: Collection[str]) -> frozenset[Span]:
    """The found spans of these types."""
    return frozenset(Span(e.start, e.end, e.label) for e in entities if e.label in types)


def _known(example: Example, entities: Sequence[Entity]) -> list[Entity]:
    """The entities that share no character with a mention whose label has no counterpart."""
    unmapped = [span for span in example.spans if span.label is None]
    return [
        entity
        for entity in entities
        if not any(span.start < entity.end and entity.start < span.end for span in unmapped)
    ]


def _quality_of(findings: Findings, types: Collection[str]) -> Quality:
    return quality(
        [gold_spans(example, types) for example in findings.corpus.examples],
        [entity_spans(entities, types) for entities in findings.returned],
    )


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0
