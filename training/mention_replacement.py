"""Mention replacement: sentences are also learned with other names in them.

A model that has seen "Merkel" fifty times knows the name; one that has seen fifty names in the same
sentences learns what stands around names. Mentions come from the same set, so that each keeps its
set's idea of what belongs to a name.

Source: Dai & Adel, An Analysis of Simple Data Augmentation for Named Entity Recognition (2020).
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from training.data import Example, Span

# A sentence that is changed keeps about half of its names: their neighbours stay true.
_MENTION_SHARE = 0.5

Mentions = Mapping[str, Sequence[str]]  # texts of the mentions by their type, as often as they are


def mentions_of(examples: Sequence[Example]) -> Mentions:
    """The mentions of a set by their type.

    Args:
        examples: of one set.
    """
    mentions: defaultdict[str, list[str]] = defaultdict(list)
    for example in examples:
        for span in example.spans:
            if span.label is not None:
                mentions[span.label].append(example.text[span.start : span.end])
    return mentions


def with_mentions_replaced(
    example: Example, mentions: Mentions, share: float, rng: random.Random
) -> Example:
    """The example, or one with other names of the same types.

    Args:
        example: a text with its spans.
        mentions: of its set.
        share: of the examples that are changed, [0, 1].
        rng: draws.
    """
    if not example.spans or rng.random() >= share:
        return example
    parts: list[str] = []
    spans: list[Span] = []
    position = shift = 0
    for span in example.spans:
        name = example.text[span.start : span.end]
        if span.label is not None and rng.random() < _MENTION_SHARE:
            name = rng.choice(mentions[span.label])
        parts += [example.text[position : span.start], name]
        spans.append(Span(span.start + shift, span.start + shift + len(name), span.label))
        shift += len(name) - (span.end - span.start)
        position = span.end
    parts.append(example.text[position:])
    text = "".join(parts)
    # What teachers said holds of the text that they were asked about, not of another.
    answers = example.answers if text == example.text else ()
    return replace(example, text=text, spans=tuple(spans), answers=answers)
