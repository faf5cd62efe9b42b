"""Examples as the tensors of one training step."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from tokenizers import Encoding, Tokenizer
from torch import Tensor

from inference.words import word_starts
from training.data import LABELS, Corpus, Example, join
from training.mention_replacement import mentions_of, with_mentions_replaced
from training.recasing import recased
from training.recipe import Recipe

_OUTSIDE = LABELS.index("O")
_PASSAGE_CHARACTERS = (120, 700)  # about 30 to 200 tokens
_SEPARATORS = (" ", " ", "\n")
# Batches that are sorted by length together: enough for little padding, few enough to stay random.
_BATCHES_SORTED_TOGETHER = 40


@dataclass(frozen=True, slots=True, eq=False)
class EncodedExample:
    """An example as token ids and, for each, the labels that its annotation allows."""

    ids: list[int]  # special tokens included
    allowed: np.ndarray  # bool [tokens, labels]
    weights: np.ndarray  # in the loss, float32 [tokens]
    targets: np.ndarray | None = None  # of teachers, float16, [tokens, width]; as in a batch


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Examples of near-equal length, padded."""

    ids: Tensor  # int64 [batch, tokens]
    mask: Tensor  # int64 [batch, tokens], 0 for padding
    allowed: Tensor  # bool [batch, tokens, labels], all true for padding
    weights: Tensor  # in the loss, float32 [batch, tokens], 0 for padding
    # Probabilities, float32 [batch, tokens, labels], all 0 where teachers were not asked, and
    # their features where those were kept, [batch, tokens, labels + FEATURES]; None: they were
    # asked nowhere.
    targets: Tensor | None = None


def epoch_batches(
    corpora: Sequence[Corpus],
    tokenizer: Tokenizer,
    recipe: Recipe,
    epoch: int,
    *,
    joined_words: bool = False,
) -> list[Batch]:
    """Every sentence once, alone or in a passage, in batches in random order.

    Args:
        corpora: what to learn.
        tokenizer: without padding or truncation.
        recipe: the settings; its seed draws the passages and the order.
        epoch: from 1; each draws its own.
        joined_words: as in `inference.words.word_starts`.
    """
    rng = _generator(recipe, epoch)
    examples = _drawn(corpora, recipe, rng)
    rng.shuffle(examples)
    encoded = [
        encode(
            example,
            tokenizer,
            recipe.most_tokens,
            continuation_weight=recipe.continuation_weight,
            joined_words=joined_words,
        )
        for example in examples
    ]
    batches = list(_bucketed(encoded, recipe.batch_size))
    rng.shuffle(batches)
    return batches


def count_batches(corpora: Sequence[Corpus], recipe: Recipe, epoch: int) -> int:
    """How many batches an epoch has, without encoding its texts.

    Args:
        corpora: what to learn.
        recipe: the settings.
        epoch: from 1.
    """
    return math.ceil(len(_drawn(corpora, recipe, _generator(recipe, epoch))) / recipe.batch_size)


def _generator(recipe: Recipe, epoch: int) -> random.Random:
    # A string is hashed by Random itself, the same in every process.
    return random.Random(f"{recipe.seed}/{epoch}")  # noqa: S311 - shuffles, keeps no secret


def _drawn(corpora: Sequence[Corpus], recipe: Recipe, rng: random.Random) -> list[Example]:
    drawn = chain.from_iterable(
        passages(_varied(corpus, recipe.replaced_share, rng), recipe.passage_share, rng)
        for corpus in corpora
    )
    return [recased(example, recipe.recased_share, rng) for example in drawn]


def _varied(corpus: Corpus, share: float, rng: random.Random) -> list[Example]:
    if not share:
        return corpus.examples
    mentions = mentions_of(corpus.examples)
    return [with_mentions_replaced(example, mentions, share, rng) for example in corpus.examples]


def passages(examples: Sequence[Example], share: float, rng: random.Random) -> Iterator[Example]:
    """The examples in order, some of them joined with those that follow.

    Args:
        examples: consecutive sentences of one set.
        share: of what is given that is a passage, [0, 1]; one holds about four sentences.
        rng: decides which, how many and with what between them.
    """
    i = 0
    while i < len(examples):
        joined = examples[i]
        i += 1
        if rng.random() < share:
            target = rng.randint(*_PASSAGE_CHARACTERS)
            separator = rng.choice(_SEPARATORS)
            while (
                i < len(examples)
                and examples[i].document == joined.document
                and len(joined.text) + len(examples[i].text) < target
            ):
                joined = join(joined, examples[i], separator)
                i += 1
        yield joined


def encode(
    example: Example,
    tokenizer: Tokenizer,
    most_tokens: int,
    *,
    continuation_weight: float = 1.0,
    joined_words: bool = False,
) -> EncodedExample:
    """Finds the labels that each token may have.

    The first token of a span is B-, the others I-; the parts of a word are labelled like words.

    Args:
        example: the text and its spans.
        tokenizer: without padding or truncation.
        most_tokens: the rest is cut off.
        continuation_weight: of the tokens of a word after its first.
        joined_words: as in `inference.words.word_starts`.
    """
    encoding = tokenizer.encode(example.text)
    allowed = np.zeros((len(encoding.ids), len(LABELS)), dtype=np.bool_)
    outside = [
        _OUTSIDE,
        *(LABELS.index(f"{p}-{t}") for t in example.unlabelled_types for p in "BI"),
    ]
    spans = iter(example.spans)
    span = next(spans, None)
    inside = False
    pairs = zip(encoding.offsets, encoding.special_tokens_mask, strict=True)
    for row, ((start, end), special) in zip(allowed, pairs, strict=True):
        if special:
            row[:] = True
            continue
        while span and span.end <= start:
            span, inside = next(spans, None), False
        if span is None or end <= span.start:
            row[outside] = True
        elif span.label is None:
            row[:] = True
        else:
            row[LABELS.index(f"{'I' if inside else 'B'}-{span.label}")] = True
            inside = True
    targets = _targets(example, encoding.offsets, encoding.special_tokens_mask)
    return EncodedExample(
        encoding.ids[:most_tokens],
        allowed[:most_tokens],
        _weights(example.text, encoding, continuation_weight, joined=joined_words)[:most_tokens],
        None if targets is None else targets[:most_tokens],
    )


def _weights(text: str, encoding: Encoding, continuation: float, *, joined: bool) -> np.ndarray:
    """1 for the first token of each word, which is the one that speaks for it."""
    own = [i for i, special in enumerate(encoding.special_tokens_mask) if not special]
    weights = np.zeros(len(encoding.ids), np.float32)
    if own:
        weights[own] = continuation
        spans, words = encoding.offsets, encoding.word_ids
        starts = word_starts(text, [spans[i] for i in own], [words[i] for i in own], joined=joined)
        weights[[own[i] for i in starts]] = 1
    return weights


def _targets(
    example: Example, offsets: Sequence[tuple[int, int]], special: Sequence[int]
) -> np.ndarray | None:
    if not example.answers:
        return None
    width = max(answer.shape[1] for _, answer in example.answers)
    targets = np.zeros((len(offsets), width), np.float16)
    begins = [
        start if not is_special else -1
        for (start, _), is_special in zip(offsets, special, strict=True)
    ]
    for start, answer in example.answers:
        first = next((i for i, begin in enumerate(begins) if begin >= start), len(begins))
        targets[first : first + len(answer), : answer.shape[1]] = answer
    return targets


def collate(examples: Sequence[EncodedExample]) -> Batch:
    """Pads examples to the longest of them.

    Args:
        examples: at least one.
    """
    tokens = max(len(example.ids) for example in examples)
    ids = torch.zeros((len(examples), tokens), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    allowed = torch.ones((len(examples), tokens, len(LABELS)), dtype=torch.bool)
    weights = torch.zeros(ids.shape)
    for row, example in enumerate(examples):
        length = len(example.ids)
        ids[row, :length] = torch.tensor(example.ids)
        mask[row, :length] = 1
        allowed[row, :length] = torch.from_numpy(example.allowed)
        weights[row, :length] = torch.from_numpy(example.weights)
    return Batch(ids, mask, allowed, weights, _collate_targets(examples, allowed))


def _collate_targets(examples: Sequence[EncodedExample], like: Tensor) -> Tensor | None:
    known = {row: e.targets for row, e in enumerate(examples) if e.targets is not None}
    if not known:
        return None
    width = max(targets.shape[1] for targets in known.values())
    together = torch.zeros((*like.shape[:2], width))
    for row, targets in known.items():
        together[row, : len(targets), : targets.shape[1]] = torch.from_numpy(targets)
    return together


def _bucketed(examples: Sequence[EncodedExample], batch_size: int) -> Iterator[Batch]:
    pool = batch_size * _BATCHES_SORTED_TOGETHER
    for first in range(0, len(examples), pool):
        near = sorted(examples[first : first + pool], key=lambda example: len(example.ids))
        for i in range(0, len(near), batch_size):
            yield collate(near[i : i + batch_size])
