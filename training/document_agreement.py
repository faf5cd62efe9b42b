"""Document agreement: whether a long document gives the entities that its sentences give alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from training.data import Span
from training.evaluation import Quality, entity_spans, quality
from training.recognition import Recognizer

# MISC means something else in each of the sets that taught it.
_COMPARED_TYPES = frozenset({"PER", "ORG", "LOC"})


@dataclass(frozen=True, slots=True)
class Agreement:
    """How like the document's entities are to those of its sentences."""

    window_tokens: int
    words: int
    quality: Quality  # the sentences' entities taken for the truth


def document_of(texts: Sequence[str], words: int) -> list[str]:
    """The first texts that hold so many words together.

    Args:
        texts: consecutive sentences.
        words: parts between white space.
    """
    chosen: list[str] = []
    count = 0
    for text in texts:
        if count >= words:
            break
        chosen.append(text)
        count += len(text.split())
    return chosen


def measure_agreement(
    recognizer: Recognizer, sentences: Sequence[str], separator: str
) -> Agreement:
    """Compares the entities of a document with those of its sentences alone.

    Args:
        recognizer: the model; its tokenizer sets the window.
        sentences: the document is these in order.
        separator: stands between them.
    """
    document = separator.join(sentences)
    expected: set[Span] = set()
    start = 0
    for sentence, entities in zip(sentences, recognizer.recognize(sentences, 1), strict=True):
        expected |= {
            Span(start + s.start, start + s.end, s.label)
            for s in entity_spans(entities, _COMPARED_TYPES)
        }
        start += len(sentence) + len(separator)
    found = entity_spans(recognizer.recognize([document])[0], _COMPARED_TYPES)
    return Agreement(
        recognizer.tokenizer.window_tokens,
        len(document.split()),
        quality([frozenset(expected)], [found]),
    )
