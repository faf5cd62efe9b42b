"""Label scores to entities.

The labels of a text are its best legal path in the model's scheme (`label_scheme`). Nearly always
the best label of each word is legal already, and the search is not run.

Most words are in no entity. So only the best label of each word is found for all of them at once;
lists walk on from there, and probabilities are computed for the words of entities alone. Before
that, if the model says so, what a text says of a word in one place counts in the others
(`label_consistency`).

Source: word aggregation as in Hugging Face's `TokenClassificationPipeline`; the search is
Viterbi's (1967), with transitions that are either free or forbidden.
"""

import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.core import Aggregation, Entity, TokenizedText
from inference.errors import ModelInvalid
from inference.label_consistency import consistent
from inference.label_scheme import OUTSIDE, read_tags, transitions
from inference.softmax import exponentials, softmax

# Marks that belong to the character before them: an entity ends after them, not between.
_MARK_CATEGORIES = frozenset({"Mn", "Mc", "Me"})

# Whose entities are made of words: what a model's least score and consistency are found for.
_OF_WORDS = frozenset({Aggregation.FIRST, Aggregation.AVERAGE, Aggregation.MAX})

_IMPOSSIBLE = -1e9  # a score; finite, as all but a forbidden step are


class Decoder:
    """Decodes the output of a model with these labels.

    Args:
        labels: the model's labels by id: "O" and labels of one of the schemes of `label_scheme`.
        min_score: least score of an entity of words where a caller asks for none, in [0, 1].
        label_consistency: how far the occurrences of a word in a text speak for each other, in
            [0, 1] (`label_consistency`).

    Raises:
        ModelInvalid: the labels have no "O" or hold a label twice.
    """

    def __init__(
        self, labels: Sequence[str], min_score: float = 0.0, label_consistency: float = 0.0
    ) -> None:
        if OUTSIDE not in labels or len(set(labels)) != len(labels):
            raise ModelInvalid('config.json: id2label must hold "O" and no label twice')
        self.labels = tuple(labels)
        self.min_score = min_score
        self.label_consistency = label_consistency
        self._outside = self.labels.index(OUTSIDE)
        self._tags = read_tags(labels)
        self._types = {label: tag.label for label, tag in zip(labels, self._tags, strict=True)}
        types, numbers = np.unique([tag.label for tag in self._tags], return_inverse=True)
        self._membership = np.eye(len(types), dtype=np.float32)[numbers]  # [labels, types]
        self.entity_types = tuple(dict.fromkeys(t.label for t in self._tags if t.label != OUTSIDE))
        allowed, may_start = transitions(self._tags)
        self._allowed: list[list[bool]] = allowed.tolist()
        self._may_start: list[bool] = may_start.tolist()
        # Of each label that cannot come first, one of its type that begins an entity.
        first = {tag.label: i for i, tag in reversed([*enumerate(self._tags)]) if tag.begins}
        self._beginnings = {
            i: first[tag.label]
            for i, (tag, starts) in enumerate(zip(self._tags, self._may_start, strict=True))
            if not starts
        }

    def entity_type(self, label: str) -> str:
        """The entity type of a label ("PER" of "B-PER"), or of an entity type itself."""
        return self._types.get(label, label)

    def decode(
        self,
        tokenized: TokenizedText,
        logits: Sequence[NDArray[np.float32]],
        aggregation: Aggregation = Aggregation.FIRST,
        min_score: float | None = None,
    ) -> list[Entity]:
        """Finds the entities of a text.

        Args:
            tokenized: the text.
            logits: one float32 [tokens, labels] for each of its windows, special tokens included.
            aggregation: how tokens become entities.
            min_score: least score of an entity, in [0, 1]; None: the model's.

        Returns:
            Entities in text order, not overlapping, offsets in code points. With
            `Aggregation.NONE` one for each token that is not O, its label with the prefix.
        """
        if not tokenized.windows:
            return []
        if min_score is None:
            min_score = self.min_score if aggregation in _OF_WORDS else 0.0
        found = self._find(tokenized, logits, aggregation)
        return [entity for entity in found if entity.score >= min_score] if min_score else found

    def _find(
        self,
        tokenized: TokenizedText,
        logits: Sequence[NDArray[np.float32]],
        aggregation: Aggregation,
    ) -> list[Entity]:
        owned = [rows[window.owned] for rows, window in zip(logits, tokenized.windows, strict=True)]
        tokens = owned[0] if len(owned) == 1 else np.concatenate(owned)
        if aggregation is Aggregation.NONE:
            return self._tokens(tokenized, tokens)
        units = _units(tokenized, tokens, aggregation)
        if self.label_consistency and aggregation in _OF_WORDS:
            units = units._replace(
                scores=consistent(
                    units.scores,
                    units.texts(tokenized),
                    self._membership,
                    self.label_consistency,
                )
            )
        lines = units.lines(tokenized)
        path = self._path(units, lines)
        if lines:
            # Where a window begins the model saw no line before, as at the beginning of a text.
            window_starts = _window_starts(owned)
            begun = [unit for unit in lines if units.starts[unit] not in window_starts]
            # Only after the path was found: counted there too, it made names worse (ADR 26).
            units = units._replace(scores=self._begun_anew(units.scores, begun))
        return self._entities(tokenized, units, path, lines)

    def _begun_anew(self, scores: NDArray[np.float32], lines: Sequence[int]) -> NDArray[np.float32]:
        """The scores, where the first word of a line that is inside a name begins one."""
        scores = scores.copy()
        for inside, beginning in self._beginnings.items():
            scores[lines, beginning] = np.logaddexp(scores[lines, beginning], scores[lines, inside])
            scores[lines, inside] = _IMPOSSIBLE
        return scores

    def _path(self, units: "_Units", lines: frozenset[int]) -> list[int]:
        """The most probable legal label of each unit, in each line by itself."""
        path: list[int] = units.scores.argmax(axis=1).tolist()
        borders = pairwise([0, *sorted(lines), len(path)])
        return [*chain.from_iterable(self._legal(units, path[a:b], a) for a, b in borders)]

    def _legal(self, units: "_Units", path: list[int], first: int) -> list[int]:
        """The most probable legal labels of a line, given the best of each unit from the first."""
        allowed = self._allowed
        if self._may_start[path[0]] and all(allowed[a][b] for a, b in pairwise(path)):
            return path
        scores = units.scores[first : first + len(path)]
        return _search(scores, np.array(allowed), np.array(self._may_start))

    def _entities(
        self,
        tokenized: TokenizedText,
        units: "_Units",
        path: list[int],
        lines: frozenset[int],
    ) -> list[Entity]:
        outside = self._outside
        named = [unit for unit, label in enumerate(path) if label != outside]
        if not named:
            return []
        certain = _probabilities(units.scores.take(named, axis=0), [path[unit] for unit in named])
        entities: list[Entity] = []
        first = 0  # of the open entity, counted among the named units
        for here, unit in enumerate(named):
            tag = self._tags[path[unit]]
            following = self._tags[path[unit + 1]] if unit + 1 < len(path) else None
            goes_on = following and following.label == tag.label and not following.begins
            if goes_on and unit + 1 not in lines:
                continue
            span = _span(tokenized, units.starts, named[first], unit)
            if span.start < span.stop:
                text, score = tokenized.text[span], sum(certain[first : here + 1])
                score /= here + 1 - first
                entities.append(Entity(text, tag.label, span.start, span.stop, score))
            first = here + 1
        return entities

    def _tokens(self, tokenized: TokenizedText, tokens: NDArray[np.float32]) -> list[Entity]:
        path = tokens.argmax(axis=1).tolist()
        named = [token for token, label in enumerate(path) if label != self._outside]
        if not named:
            return []
        scores = _probabilities(tokens.take(named, axis=0), [path[token] for token in named])
        entities = []
        for token, score in zip(named, scores, strict=True):
            start, end = tokenized.spans[token]
            if start < end:
                label = self.labels[path[token]]
                entities.append(Entity(tokenized.text[start:end], label, start, end, score))
        return entities


class _Units(NamedTuple):
    """What is labelled: the words of a text, or its tokens."""

    # float32 [units, labels]: logarithms of probabilities, up to a constant of each unit
    scores: NDArray[np.float32]
    starts: Sequence[int]  # first token of each unit

    def texts(self, tokenized: TokenizedText) -> list[str]:
        """The characters of each unit, with the space before it where a tokenizer counts that."""
        spans, text = tokenized.spans, tokenized.text
        borders = pairwise([*self.starts, len(spans)])
        return [text[spans[first][0] : spans[after - 1][1]] for first, after in borders]

    def lines(self, tokenized: TokenizedText) -> frozenset[int]:
        """The units before which an entity ends, for a line begins anew there."""
        units = {bisect_left(self.starts, token) for token in tokenized.line_starts}
        # Where a tokenizer takes a text for one word no other begins after it.
        return frozenset(units - {len(self.starts)})


def _window_starts(owned: Sequence[NDArray[np.float32]]) -> frozenset[int]:
    """The first token of each window, given the rows that each owns."""
    return frozenset(accumulate((len(rows) for rows in owned), initial=0))


def _search(
    scores: NDArray[np.float32], allowed: NDArray[np.bool_], may_start: NDArray[np.bool_]
) -> list[int]:
    """The best legal path through scores, float32 [units, labels]: Viterbi's algorithm."""
    steps = np.where(allowed, 0.0, -np.inf)  # [from, to]
    best = np.where(may_start, scores[0].astype(np.float64), -np.inf)
    back = np.empty(scores.shape, dtype=np.intp)
    for i in range(1, len(scores)):
        candidates = best[:, None] + steps
        back[i] = candidates.argmax(axis=0)
        best = candidates.max(axis=0) + scores[i]
    path = [int(best.argmax())]
    for i in range(len(scores) - 1, 0, -1):
        path.append(int(back[i, path[-1]]))
    return path[::-1]


def _probabilities(scores: NDArray[np.float32], labels: list[int]) -> list[float]:
    """The probability of one label in each row."""
    numbers = exponentials(scores)
    rows, sums = numbers.tolist(), numbers.sum(axis=1).tolist()
    return [row[label] / total for row, label, total in zip(rows, labels, sums, strict=True)]


def _units(
    tokenized: TokenizedText, tokens: NDArray[np.float32], aggregation: Aggregation
) -> _Units:
    if aggregation is Aggregation.SIMPLE:
        starts = _place_starts(tokenized.spans)
        return _Units(tokens.take(starts, axis=0), starts)
    starts = tokenized.word_starts
    if aggregation is Aggregation.FIRST:
        return _Units(tokens.take(starts, axis=0), starts)
    probabilities = softmax(tokens)
    if aggregation is Aggregation.AVERAGE:
        sizes = np.diff(starts, append=len(tokens)).astype(np.float32)
        means = np.add.reduceat(probabilities, starts) / sizes[:, None]
        # Below the smallest normal float32 a probability is as good as zero, but its logarithm
        # must stay finite: a forbidden step is the only minus infinity.
        scores = np.log(np.maximum(means, np.finfo(np.float32).tiny))
        return _Units(np.asarray(scores, dtype=np.float32), starts)
    certainty = probabilities.max(axis=1)
    surest = [
        start + int(certainty[start:end].argmax())
        for start, end in pairwise([*starts, len(tokens)])
    ]
    return _Units(tokens.take(surest, axis=0), starts)


def _place_starts(spans: Sequence[tuple[int, int]]) -> list[int]:
    """The tokens that begin where all before them have ended, as nearly all do.

    But several may stand for one character: the bytes of an emoji, the letters of a Hangul
    syllable. Labelled apart they would give entities at the same place, which is what Hugging
    Face's pipeline answers; here they are labelled together, as the first of them.
    """
    starts: list[int] = []
    reached = 0
    for token, (start, end) in enumerate(spans):
        if start >= reached:
            starts.append(token)
        reached = max(reached, end)
    return starts


def _span(tokenized: TokenizedText, starts: Sequence[int], first: int, last: int) -> slice:
    """The characters of units [first, last]; none when they hold no visible one."""
    text, spans = tokenized.text, tokenized.spans
    next_token = starts[last + 1] if last + 1 < len(starts) else len(spans)
    start, end = spans[starts[first]][0], spans[next_token - 1][1]
    limit = spans[next_token][0] if next_token < len(spans) else len(text)
    while end < limit and unicodedata.category(text[end]) in _MARK_CATEGORIES:
        end += 1
    # Some tokenizers count the space before a word to it.
    while start < end and text[start].isspace():
        start += 1
    return slice(start, end)
