"""Temperature: one number by which all logits are divided, so that scores are worth their name.

A network that has seen its training sentences several times is surer than it is right. Dividing the
logits moves no label, only the scores; it is folded into the classifier, and costs nothing.

Source: Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks (2017).
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.decoding import Decoder
from inference.tokenization import Tokenizer
from training.calibration import ScoredEntity, scored_entities
from training.checkpoint import TOKENIZER_FILE, load_cased, load_record, scale_classifier
from training.data import LABELS, Corpus
from training.evaluation import find
from training.network import TorchScorer
from training.recognition import WINDOW_TOKENS, Recognizer, Scorer

# Below 1 a network would be less sure than it is right: no fine-tuned one is, by much.
_COLDEST, _HOTTEST = 0.5, 8.0
# Halving the golden way to 2 % of the temperature, finer than the noise of some thousand entities.
_STEPS = 12
_GOLDEN = (math.sqrt(5) - 1) / 2
# A score of exactly 0 or 1 must cost much, not infinitely much.
_SURE = 1e-6


class Softened:
    """A scorer whose logits are divided by a temperature; scores each batch once.

    Args:
        scorer: is always given the same batches in the same order, from `begin` on.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._scored: list[NDArray[np.float32]] = []
        self._next = 0
        self._temperature = 1.0

    def begin(self, temperature: float) -> None:
        """Goes back to the first batch."""
        self._next = 0
        self._temperature = temperature

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores int64 [batch, tokens]; returns float32 [batch, tokens, labels]."""
        if self._next == len(self._scored):
            self._scored.append(self._scorer.run(ids, mask))
        self._next += 1
        return self._scored[self._next - 1] / np.float32(self._temperature)


def calibrate(folder: Path, corpora: Sequence[Corpus]) -> float:
    """Softens a checkpoint; one that was softened already stays as it is.

    Args:
        folder: the checkpoint; its classifier is written anew.
        corpora: what to measure by; none change nothing.

    Returns:
        The temperature that its logits are divided by.

    Raises:
        CheckpointInvalid: the folder is not a checkpoint.
    """
    record = load_record(folder)
    if record.temperature != 1.0 or not corpora:
        return record.temperature
    recognizer = Recognizer(
        Tokenizer.load(folder / TOKENIZER_FILE, WINDOW_TOKENS),
        TorchScorer(load_cased(folder)),
        Decoder(LABELS),
    )
    temperature = best_temperature(recognizer, corpora)
    scale_classifier(folder, 1 / temperature, replace(record, temperature=temperature))
    return temperature


def best_temperature(recognizer: Recognizer, corpora: Sequence[Corpus]) -> float:
    """The temperature at which the scores of entities are the likeliest.

    Args:
        recognizer: the model.
        corpora: texts with their spans; at least one.

    Returns:
        A number in [0.5, 8], to three digits; 1 where nothing is found.
    """
    softened = Softened(recognizer.scorer)
    recognizer = replace(recognizer, scorer=softened)

    def loss(logarithm: float) -> float:
        softened.begin(math.exp(logarithm))
        return log_loss(
            [e for corpus in corpora for e in scored_entities(find(recognizer, corpus))]
        )

    low, high = math.log(_COLDEST), math.log(_HOTTEST)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    left_loss, right_loss = loss(left), loss(right)
    if math.isnan(left_loss):
        return 1.0
    for _ in range(_STEPS):
        if left_loss <= right_loss:
            high, right, right_loss = right, left, left_loss
            left = high - _GOLDEN * (high - low)
            left_loss = loss(left)
        else:
            low, left, left_loss = left, right, right_loss
            right = low + _GOLDEN * (high - low)
            right_loss = loss(right)
    return float(f"{math.exp((low + high) / 2):.3g}")


def log_loss(entities: Sequence[ScoredEntity]) -> float:
    """Mean of -log of the probability that each entity's score gave to what is true of it.

    Args:
        entities: found ones; of none it is not a number.
    """
    if not entities:
        return math.nan
    scores = np.clip([e.score for e in entities], _SURE, 1 - _SURE)
    right = np.array([e.right for e in entities])
    return float(-np.log(np.where(right, scores, 1 - scores)).mean())
