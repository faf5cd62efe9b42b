"""Of which texts a model is least sure: those that are worth a teacher's time, or a person's.

Source: total token entropy, Settles and Craven (2008), "An Analysis of Active Learning Strategies
for Sequence Labeling Tasks"; here for what a text costs to read, so that long ones are not all.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from training.data import Corpus, Example
from training.data_folder import check_bare
from training.recognition import Recognizer

# What a text costs beside its tokens: else a word or two that mean anything would come first.
_COST_TOKENS = 10
# Reports say the same sentence of other figures day by day.
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def uncertainty(logits: NDArray[np.float32]) -> float:
    """How unsure a model is of a text, for what the text costs to read.

    Args:
        logits: of its tokens, special ones left out, float32 [tokens, labels].

    Returns:
        Nats a token, at least 0; 0 of a text without tokens.
    """
    exponents = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
    weights = np.exp(exponents)
    sums = weights.sum(axis=1)
    # Of p = weights / sums: -p log p, summed over the labels.
    entropies = np.log(sums) - (weights * exponents).sum(axis=1) / sums
    return float(entropies.sum() / (len(logits) + _COST_TOKENS))


def least_sure(corpora: Sequence[Corpus], recognizer: Recognizer, most: int) -> list[list[Example]]:
    """The texts that a model is least sure of, in their order.

    Of texts that differ in their numbers alone it is the first that counts.

    Args:
        corpora: bare text.
        recognizer: the model.
        most: texts, of all corpora together; at least 1.

    Returns:
        Those of each corpus.

    Raises:
        DataInvalid: a set has labels.
    """
    check_bare(corpus.source for corpus in corpora)
    first: dict[str, tuple[int, Example]] = {}
    for i, corpus in enumerate(corpora):
        for example in corpus.examples:
            first.setdefault(_NUMBER.sub("0", example.text), (i, example))
    found = [*first.values()]
    unsure = np.fromiter(_uncertainties([e.text for _, e in found], recognizer), np.float64)
    chosen: list[list[Example]] = [[] for _ in corpora]
    for place in sorted(np.argsort(-unsure, kind="stable")[:most].tolist()):
        i, example = found[place]
        chosen[i].append(example)
    return chosen


def _uncertainties(texts: Sequence[str], recognizer: Recognizer) -> Iterator[float]:
    for tokenized, windows in recognizer.score_each(texts):
        owned = [w[t.owned] for w, t in zip(windows, tokenized.windows, strict=True)]
        yield uncertainty(np.concatenate(owned)) if owned else 0.0
