"""Softmax: scores to probabilities."""

import numpy as np
from numpy.typing import NDArray


def softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probabilities of each row.

    Args:
        scores: float32 [rows, labels].

    Returns:
        float32 [rows, labels]; each row sums to 1.
    """
    probabilities = exponentials(scores)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return probabilities


def exponentials(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Numbers in proportion to the probabilities of each row, the greatest 1.

    Args:
        scores: float32 [rows, labels].

    Returns:
        float32 [rows, labels].
    """
    numbers: NDArray[np.float32] = np.exp(scores - scores.max(axis=1, keepdims=True))
    return numbers
