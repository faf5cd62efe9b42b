"""Label scores to the answer of Hugging Face's token-classification pipeline.

The rules are the pipeline's, and differ from those of `decoding`:
  - A token's label is its likeliest, legal or not.
  - A piece continues a word when it is not as long as the characters that it stands for ("##el"
    is not); in a vocabulary without a continuing prefix, when no space is before it.
  - Neighbours of one type are one group, unless the second is a B-; O is a type like any other.
  - A group's score is the mean of its words' or tokens' scores, its word is written from pieces.
  - Of groups of several chunks that overlap the longest stays, of equal ones the surest.

Source: `TokenClassificationPipeline.postprocess` of transformers 5. Arithmetic is in float32, in
its order, so that scores are the same to the last bit where the logits are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inference.core import Aggregation, Chunk, PieceText, TokenGroup


class Vocabulary(Protocol):
    """What the rules must know of a tokenizer."""

    @property
    def continuing_prefix(self) -> str:
        """What marks a piece that continues a word; empty where nothing does."""
        ...

    def join(self, pieces: Sequence[str], /) -> str:
        """Writes pieces together."""
        ...


_BEGINS, _INSIDE = "B", "I"
_WORD_STRATEGIES = frozenset({Aggregation.FIRST, Aggregation.AVERAGE, Aggregation.MAX})


@dataclass(frozen=True, slots=True)
class PipelineRules:
    """What the answer depends on besides text and scores."""

    labels: Sequence[str]  # the model's, by id
    aggregation: Aggregation
    ignored_labels: frozenset[str]
    vocabulary: Vocabulary


@dataclass(frozen=True, slots=True)
class _Token:
    """A token, or with a word strategy a word."""

    scores: NDArray[np.float32]  # float32 [labels]
    piece: str
    start: int  # code points
    end: int
    index: int


@dataclass(frozen=True, slots=True)
class _Labelled:
    """A token or word with its label."""

    label: str
    score: np.float32
    piece: str
    start: int
    end: int
    index: int


def classify(
    text: PieceText, logits: Sequence[NDArray[np.float32]], rules: PipelineRules
) -> list[TokenGroup]:
    """Answers for a text what the pipeline would.

    Args:
        text: the text.
        logits: one float32 [tokens, labels] for each of its windows, special tokens included.
        rules: of the answer.

    Returns:
        Groups in text order; with `Aggregation.NONE` tokens.
    """
    owned = iter(
        [rows[window.owned] for rows, window in zip(logits, text.tokenized.windows, strict=True)]
    )
    groups: list[TokenGroup] = []
    for chunk in text.chunks:
        rows = np.concatenate(list(islice(owned, chunk.windows)))
        found = _chunk_groups(text, chunk, _softmax(rows), rules)
        groups += [group for group in found if group.label not in rules.ignored_labels]
    return _without_overlaps(groups) if len(text.chunks) > 1 else groups


def _chunk_groups(
    text: PieceText, chunk: Chunk, scores: NDArray[np.float32], rules: PipelineRules
) -> Iterator[TokenGroup]:
    tokens = _tokens(text, chunk, scores)
    if rules.aggregation in _WORD_STRATEGIES:
        words = _words(tokens, _continuations(text, chunk, rules))
        labelled = [_labelled_word(word, rules) for word in words]
    else:
        labelled = [_labelled(token, token.scores, rules.labels) for token in tokens]
    if rules.aggregation is Aggregation.NONE:
        for one in labelled:
            yield TokenGroup(one.label, float(one.score), one.piece, one.start, one.end, one.index)
        return
    yield from _groups(labelled, rules)


def _tokens(text: PieceText, chunk: Chunk, scores: NDArray[np.float32]) -> list[_Token]:
    tokens = []
    for row, i in enumerate(range(chunk.first, chunk.last)):
        start, end = text.tokenized.spans[i]
        # The characters themselves say more than "[UNK]".
        piece = text.tokenized.text[start:end] if text.unknown[i] else text.pieces[i]
        tokens.append(_Token(scores[row], piece, start, end, text.first_index + i))
    return tokens


def _continuations(text: PieceText, chunk: Chunk, rules: PipelineRules) -> list[bool]:
    """Whether each token of a chunk continues the word before it."""
    characters = text.tokenized.text
    continues = []
    for i in range(chunk.first, chunk.last):
        start, end = text.tokenized.spans[i]
        if text.unknown[i]:
            continues.append(False)
        elif rules.vocabulary.continuing_prefix:
            continues.append(len(text.pieces[i]) != end - start)
        else:
            continues.append(start > 0 and " " not in characters[start - 1 : start + 1])
    return continues


def _words(tokens: list[_Token], continues: list[bool]) -> list[list[_Token]]:
    words: list[list[_Token]] = []
    for token, continuing in zip(tokens, continues, strict=True):
        if words and continuing:
            words[-1].append(token)
        else:
            words.append([token])
    return words


def _labelled_word(tokens: list[_Token], rules: PipelineRules) -> _Labelled:
    scores = tokens[0].scores
    if rules.aggregation is Aggregation.MAX:
        scores = max(tokens, key=lambda token: float(token.scores.max())).scores
    elif rules.aggregation is Aggregation.AVERAGE:
        scores = np.stack([token.scores for token in tokens]).mean(axis=0)
    word = _Token(
        scores,
        rules.vocabulary.join([token.piece for token in tokens]),
        tokens[0].start,
        tokens[-1].end,
        tokens[0].index,
    )
    return _labelled(word, scores, rules.labels)


def _labelled(token: _Token, scores: NDArray[np.float32], labels: Sequence[str]) -> _Labelled:
    best = int(scores.argmax())
    return _Labelled(labels[best], scores[best], token.piece, token.start, token.end, token.index)


def _groups(labelled: list[_Labelled], rules: PipelineRules) -> Iterator[TokenGroup]:
    members: list[_Labelled] = []
    for one in labelled:
        prefix, label = _tag(one.label)
        if members and (prefix == _BEGINS or label != _tag(members[-1].label)[1]):
            yield _group(members, rules)
            members = []
        members.append(one)
    if members:
        yield _group(members, rules)


def _group(members: list[_Labelled], rules: PipelineRules) -> TokenGroup:
    return TokenGroup(
        # Not `_tag`: the pipeline cuts any prefix off here, and only B- and I- there.
        members[0].label.split("-", 1)[-1],
        float(np.mean([one.score for one in members])),
        rules.vocabulary.join([one.piece for one in members]),
        members[0].start,
        members[-1].end,
    )


def _tag(label: str) -> tuple[str, str]:
    if label.startswith(("B-", "I-")):
        return label[0], label[2:]
    return _INSIDE, label


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    exponentials = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    scores: NDArray[np.float32] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return scores


def _without_overlaps(groups: list[TokenGroup]) -> list[TokenGroup]:
    kept: list[TokenGroup] = []
    for group in sorted(groups, key=lambda one: one.start):
        if not kept or not kept[-1].start <= group.start < kept[-1].end:
            kept.append(group)
        elif (group.end - group.start, group.score) > (
            kept[-1].end - kept[-1].start,
            kept[-1].score,
        ):
            kept[-1] = group
    return kept
