"""Calibration: whether entities with a score of 0.9 are right in nine cases of ten.

Source: expected calibration error as in Guo, Pleiss, Sun and Weinberger (2017), "On Calibration of
Modern Neural Networks", over entities instead of single predictions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from training.evaluation import Findings, Quality, entity_spans, gold_spans, quality, scored_types

_BINS = 10
# Beside them stands what the model says itself; below 0.5 few entities are found.
MIN_SCORES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class ScoredEntity:
    """An entity that was found."""

    score: float  # in [0, 1]
    right: bool  # its ends and its type are those that people marked


@dataclass(frozen=True, slots=True)
class Bin:
    """The entities whose scores lie in [lower, upper), or in [lower, 1] for the last."""

    lower: float
    upper: float
    entities: int
    mean_score: float  # in [0, 1]; 0 where there is none
    precision: float  # share that is right, in [0, 1]; 0 where there is none


@dataclass(frozen=True, slots=True)
class Threshold:
    """The quality of the entities that score at least so much."""

    min_score: float
    quality: Quality


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the scores of a model are worth."""

    expected_error: float  # mean distance of score from precision over the entities, in [0, 1]
    bins: tuple[Bin, ...]
    thresholds: tuple[Threshold, ...]


def calibration(findings: Sequence[Findings]) -> Calibration:
    """Measures the scores over all sets together.

    Args:
        findings: of each set; only the types that a set annotates count.
    """
    bins = reliability([entity for found in findings for entity in scored_entities(found)])
    own = {found.min_score for found in findings}
    thresholds = tuple(
        Threshold(min_score, quality_above(findings, min_score))
        for min_score in sorted({*MIN_SCORES, *own})
    )
    return Calibration(expected_error(bins), bins, thresholds)


def reliability(entities: Sequence[ScoredEntity]) -> tuple[Bin, ...]:
    """Sorts entities into ten bins of equal width.

    Args:
        entities: in any order.
    """
    binned: list[list[ScoredEntity]] = [[] for _ in range(_BINS)]
    for entity in entities:
        binned[min(int(entity.score * _BINS), _BINS - 1)].append(entity)
    return tuple(_bin(i / _BINS, (i + 1) / _BINS, members) for i, members in enumerate(binned))


def expected_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error, in [0, 1]; 0 where there is no entity.

    Args:
        bins: apart from each other.
    """
    entities = sum(each.entities for each in bins)
    distance = sum(each.entities * abs(each.mean_score - each.precision) for each in bins)
    return distance / entities if entities else 0.0


def quality_above(findings: Sequence[Findings], min_score: float) -> Quality:
    """Precision, recall and F1 when entities of a lower score are dropped, as the service does.

    Args:
        findings: of each set; all spans count the same.
        min_score: in [0, 1].
    """
    gold, kept = [], []
    for found in findings:
        types = scored_types(found.corpus.source)
        for example, entities in zip(found.corpus.examples, found.entities, strict=True):
            gold.append(gold_spans(example, types))
            kept.append(entity_spans([e for e in entities if e.score >= min_score], types))
    return quality(gold, kept)


def scored_entities(found: Findings) -> list[ScoredEntity]:
    """The entities of the types that a set annotates, each with whether it is right."""
    types = scored_types(found.corpus.source)
    return [
        ScoredEntity(entity.score, entity_spans([entity], types) <= gold_spans(example, types))
        for example, entities in zip(found.corpus.examples, found.entities, strict=True)
        for entity in entities
        if entity.label in types
    ]


def _bin(lower: float, upper: float, members: Sequence[ScoredEntity]) -> Bin:
    if not members:
        return Bin(lower, upper, 0, 0.0, 0.0)
    return Bin(
        lower,
        upper,
        len(members),
        sum(entity.score for entity in members) / len(members),
        sum(entity.right for entity in members) / len(members),
    )
