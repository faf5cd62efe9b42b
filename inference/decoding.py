"""Label scores to entities.

The labels of a text are its best legal BIO path: I-X only after B-X or I-X. Nearly always the best
label of each word is legal already, and the search is not run.

Source: word aggregation as in Hugging Face's `TokenClassificationPipeline`; the search is
Viterbi's (1967), with transitions that are either free or forbidden.
"""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.core import Aggregation, Entity, TokenizedText
from inference.errors import ModelInvalid

_OUTSIDE = "O"
# Marks that belong to the character before them: an entity ends after them, not between.
_MARK_CATEGORIES = frozenset({"Mn", "Mc", "Me"})


class _Tag(NamedTuple):
    begins: bool
    label: str  # entity type; "O" outside


class Decoder:
    """Decodes the output of a model with these labels.

    Args:
        labels: the model's labels by id: "O" and B-/I- labels, or bare types (read as I-).

    Raises:
        ModelInvalid: the labels have no "O" or hold a label twice.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        if _OUTSIDE not in labels or len(set(labels)) != len(labels):
            raise ModelInvalid('config.json: id2label must hold "O" and no label twice')
        self.labels = tuple(labels)
        self._outside = self.labels.index(_OUTSIDE)
        self._tags = [_tag(label) for label in labels]
        self.entity_types = tuple(dict.fromkeys(t.label for t in self._tags if t.label != _OUTSIDE))
        self._allowed, self._may_start = _transitions(self._tags)

    def decode(
        self,
        tokenized: TokenizedText,
        logits: Sequence[NDArray[np.float32]],
        aggregation: Aggregation = Aggregation.FIRST,
    ) -> list[Entity]:
        """Finds the entities of a text.

        Args:
            tokenized: the text.
            logits: one float32 [tokens, labels] for each of its windows, special tokens included.
            aggregation: how tokens become entities.

        Returns:
            Entities in text order, not overlapping, offsets in code points. With
            `Aggregation.NONE` one for each token that is not O, its label with the prefix.
        """
        if not tokenized.windows:
            return []
        owned = [rows[window.owned] for rows, window in zip(logits, tokenized.windows, strict=True)]
        tokens = _softmax(owned[0] if len(owned) == 1 else np.concatenate(owned))
        if aggregation is Aggregation.NONE:
            return self._tokens(tokenized, tokens)
        units = _units(tokenized, tokens, aggregation)
        path = self._best_path(units.probabilities)
        return self._entities(tokenized, units, path)

    def _best_path(self, probabilities: NDArray[np.float32]) -> NDArray[np.intp]:
        """The most probable legal labels, intp [units]."""
        path: NDArray[np.intp] = probabilities.argmax(axis=1)
        if self._may_start[path[0]] and self._allowed[path[:-1], path[1:]].all():
            return path
        # Below the smallest normal float32 a probability is as good as zero, but its logarithm
        # must stay finite: a forbidden step is the only minus infinity.
        scores = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny), dtype=np.float64)
        steps = np.where(self._allowed, 0.0, -np.inf)  # [from, to]
        best = np.where(self._may_start, scores[0], -np.inf)
        back = np.empty(scores.shape, dtype=np.intp)
        for i in range(1, len(scores)):
            candidates = best[:, None] + steps
            back[i] = candidates.argmax(axis=0)
            best = candidates.max(axis=0) + scores[i]
        path[-1] = best.argmax()
        for i in range(len(scores) - 1, 0, -1):
            path[i - 1] = back[i, path[i]]
        return path

    def _entities(
        self, tokenized: TokenizedText, units: "_Units", path: NDArray[np.intp]
    ) -> list[Entity]:
        entities: list[Entity] = []
        first = last = -1  # units of the entity that is open
        label = ""
        for unit in np.flatnonzero(path != self._outside).tolist():
            tag = self._tags[path[unit]]
            if label and (tag.begins or tag.label != label or unit != last + 1):
                entities += _entity(tokenized, units, path, first, last, label)
                label = ""
            if not label:
                first, label = unit, tag.label
            last = unit
        if label:
            entities += _entity(tokenized, units, path, first, last, label)
        return entities

    def _tokens(self, tokenized: TokenizedText, tokens: NDArray[np.float32]) -> list[Entity]:
        path = tokens.argmax(axis=1)
        entities = []
        for i in np.flatnonzero(path != self._outside).tolist():
            start, end = tokenized.spans[i]
            if start < end:
                score = float(tokens[i, path[i]])
                label = self.labels[path[i]]
                entities.append(Entity(tokenized.text[start:end], label, start, end, score))
        return entities


class _Units(NamedTuple):
    """What is labelled: the words of a text, or its tokens."""

    probabilities: NDArray[np.float32]  # float32 [units, labels]
    starts: Sequence[int]  # first token of each unit


def _tag(label: str) -> _Tag:
    if label.startswith(("B-", "I-")):
        return _Tag(label[0] == "B", label[2:])
    return _Tag(begins=False, label=label)


def _transitions(tags: list[_Tag]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What may follow what, bool [from, to], and what may come first, bool [labels]."""
    beginnings = {tag.label for tag in tags if tag.begins}
    # In a scheme without a B- for its type an I- may stand anywhere (IO, IOB1).
    may_start = np.array([tag.begins or tag.label not in beginnings for tag in tags])
    same = np.array([[a.label == b.label for b in tags] for a in tags])
    return may_start[None, :] | same, may_start


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    exponentials: NDArray[np.float32] = np.exp(logits - logits.max(axis=1, keepdims=True))
    exponentials /= exponentials.sum(axis=1, keepdims=True)
    return exponentials


def _units(
    tokenized: TokenizedText, tokens: NDArray[np.float32], aggregation: Aggregation
) -> _Units:
    starts = tokenized.word_starts
    if aggregation is Aggregation.SIMPLE:
        return _Units(tokens, range(len(tokens)))
    if aggregation is Aggregation.FIRST:
        return _Units(tokens[starts], starts)
    if aggregation is Aggregation.AVERAGE:
        sizes = np.diff(starts, append=len(tokens)).astype(np.float32)
        means = np.add.reduceat(tokens, starts) / sizes[:, None]
        return _Units(np.asarray(means, dtype=np.float32), starts)
    ends = [*starts[1:], len(tokens)]
    certainty = tokens.max(axis=1)
    surest = [
        start + int(certainty[start:end].argmax()) for start, end in zip(starts, ends, strict=True)
    ]
    return _Units(tokens[surest], starts)


def _entity(
    tokenized: TokenizedText,
    units: _Units,
    path: NDArray[np.intp],
    first: int,
    last: int,
    label: str,
) -> list[Entity]:
    """The entity of units [first, last], or none when it holds no visible character."""
    text, spans = tokenized.text, tokenized.spans
    next_token = units.starts[last + 1] if last + 1 < len(units.starts) else len(spans)
    start, end = spans[units.starts[first]][0], spans[next_token - 1][1]
    limit = spans[next_token][0] if next_token < len(spans) else len(text)
    while end < limit and unicodedata.category(text[end]) in _MARK_CATEGORIES:
        end += 1
    # Some tokenizers count the space before a word to it.
    while start < end and text[start].isspace():
        start += 1
    if start >= end:
        return []
    rows = np.arange(first, last + 1)
    score = float(units.probabilities[rows, path[first : last + 1]].mean())
    return [Entity(text[start:end], label, start, end, score)]
