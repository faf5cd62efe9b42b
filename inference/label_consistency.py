"""Label consistency: what a word is in one place of a text speaks for what it is in the others.

A model sees a name with what stands in the same window, and a text may tell what is meant in
another: "Fallujah" is surely a place where it comes first, and may be nothing to the model where it
comes again. So each occurrence of a word takes something from the mean of all, in which a sure one
counts more than an unsure one. It is the type that they share: whether a name begins or goes on,
each knows for itself.

Only words with a capital are compared, letter for letter: of others hardly any is in a name.

Source: Finkel, Grenager and Manning, Incorporating Non-local Information into Information
Extraction Systems by Gibbs Sampling (2005); Krishnan and Manning, An Effective Two-Stage Model for
Exploiting Non-Local Dependencies in Named Entity Recognition (2006).
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from inference.softmax import softmax

# A single capital is an initial, a pronoun, the letter of a list.
_LEAST_CHARS = 2
# Below it an occurrence is as good as sure, and is moved no further.
_LEAST_PROBABILITY = 1e-4


def consistent(
    scores: NDArray[np.float32], words: Sequence[str], types: NDArray[np.float32], weight: float
) -> NDArray[np.float32]:
    """Moves words that a text repeats towards the types that their occurrences are surest of.

    Of n occurrences each goes `weight` * (1 - 1/n) of the way, in logarithms, from the probability
    that it has for a type to the mean of all: the more there are, the surer is the mean. That is of
    squares, as if each probability counted as much as it is high, brought to a sum of 1: where all
    say the same and none is sure, they become surer of it.

    Args:
        scores: float32 [words, labels], logarithms of probabilities, up to a constant of each word.
        words: the text of each; white space around it does not count.
        types: float32 [labels, types], 1 where a label is of a type, else 0; each is of one, and
            "no name" is one of them.
        weight: in [0, 1].

    Returns:
        float32 [words, labels], likewise; the scores themselves where nothing is repeated.
    """
    groups = _repeated(words)
    if not groups:
        return scores
    places = np.fromiter(chain.from_iterable(groups), np.intp)
    sizes = np.array([len(group) for group in groups])
    firsts = np.cumsum(sizes) - sizes
    of_type = softmax(scores[places]) @ types
    means = np.add.reduceat(of_type**2, firsts)
    means /= means.sum(axis=1, keepdims=True)
    way = np.repeat(_logarithms(means), sizes, axis=0) - _logarithms(of_type)
    way *= np.repeat(weight * (1 - 1 / sizes), sizes)[:, None]
    moved = scores.copy()
    moved[places] += way.astype(np.float32) @ types.T
    return moved


def _repeated(words: Sequence[str]) -> list[list[int]]:
    """The places of each word with a capital that comes more than once."""
    places: dict[str, list[int]] = {}
    for place, word in enumerate(words):
        # Nearly all words end at the first, which makes no copy.
        if word.islower() or word == word.lower():
            continue
        alone = word.strip()
        if len(alone) >= _LEAST_CHARS:
            places.setdefault(alone, []).append(place)
    return [group for group in places.values() if len(group) > 1]


def _logarithms(probabilities: NDArray[np.floating]) -> NDArray[np.floating]:
    logarithms: NDArray[np.floating] = np.log(np.maximum(probabilities, _LEAST_PROBABILITY))
    return logarithms
