"""Entity F1: how many of the spans that people marked a model finds, and how many it makes up."""

from collections.abc import Sequence
from dataclasses import dataclass

from inference.core import Entity
from training.data import Corpus, Example, Span
from training.recognition import Recognizer

# MISC is not annotated in UNER and BTC, and means something else in each of the other sets.
SCORED_TYPES = frozenset({"PER", "ORG", "LOC"})


@dataclass(frozen=True, slots=True)
class Quality:
    """Precision, recall and F1 in percent; a span counts where both its ends and type are right."""

    precision: float
    recall: float
    f1: float


def evaluate(recognizer: Recognizer, corpus: Corpus) -> Quality:
    """Compares what a model finds with what people marked.

    Args:
        recognizer: the model.
        corpus: texts with their spans.
    """
    found = recognizer.recognize([example.text for example in corpus.examples])
    return quality(
        [gold_spans(example) for example in corpus.examples],
        [entity_spans(entities) for entities in found],
    )


def quality(
    gold: Sequence[frozenset[Span]],
    found: Sequence[frozenset[Span]],
) -> Quality:
    """Micro-averaged precision, recall and F1.

    Args:
        gold: what each text holds.
        found: what was found in it.
    """
    right = sum(len(g & f) for g, f in zip(gold, found, strict=True))
    precision = _percent(right, sum(map(len, found)))
    recall = _percent(right, sum(map(len, gold)))
    both = precision + recall
    return Quality(precision, recall, 2 * precision * recall / both if both else 0.0)


def gold_spans(example: Example) -> frozenset[Span]:
    """The spans of an example that are scored."""
    return frozenset(span for span in example.spans if span.label in SCORED_TYPES)


def entity_spans(entities: Sequence[Entity]) -> frozenset[Span]:
    """The found spans that are scored."""
    return frozenset(Span(e.start, e.end, e.label) for e in entities if e.label in SCORED_TYPES)


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0
