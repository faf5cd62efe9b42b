"""Four numbers that are found on dev. Two are folded into the classifier; they cost nothing.

The shift of O is added to its logit, so that F1 is higher: what a network finds at its ease is the
likeliest label of each token, and the balance of missed and made-up entities that comes of it is
nobody's choice.

The temperature divides all logits, so that scores are worth their name: a network that has seen its
training sentences several times is surer than it is right. It moves no label.

The least score of an entity that is worth its place in an answer stands in `config.json`, and holds
where a caller asks for none (`inference.decoding`). What is right with a probability of less than
half the F1 lowers it.

The label consistency stands there too: how far the occurrences of a word in a text speak for each
other (`inference.label_consistency`). Whole documents tell it, of the sets that have them.

Sources: Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks (2017); Lipton,
Elkan and Narayanaswamy, Optimal Thresholding of Classifiers to Maximize F1 Measure (2014).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inference.decoding import Decoder
from training.calibration import ScoredEntity, quality_above, scored_entities
from training.checkpoint import (
    CLASSIFIER,
    TrainingRecord,
    adjust_classifier,
    keep_record,
    load_cased,
    load_record,
    load_tokenizer,
)
from training.data import LABELS, Corpus
from training.evaluation import evaluate, find
from training.network import TorchScorer
from training.passages import has_documents, in_documents
from training.reading import serving_tokenizer
from training.recognition import Recognizer, Scorer

# Below 1 a network would be less sure than it is right: no fine-tuned one is, by much.
_COLDEST, _HOTTEST = 0.5, 8.0
# Halving the golden way to 2 % of the temperature, finer than the noise of some thousand entities.
_STEPS = 12
_GOLDEN = (math.sqrt(5) - 1) / 2
# Coarse, so that what is found is the model's way and not that of a few sentences; least first.
_SHIFTS = (0.0, 0.25, -0.25, 0.5, -0.5, 0.75, -0.75, 1.0, -1.0)
# Least first. From half on entities are right more often than not, and a caller who would rather
# miss them says so.
_MIN_SCORES = (0.0, 0.3, 0.35, 0.4, 0.45, 0.5)
# Least first. With 1 documents are read worse than without (ADR 38).
_CONSISTENCIES = (0.0, 0.25, 0.5, 0.75)
# What chance makes of the mean F1 of some sets. On text unlike dev, as in small letters, a network
# is less sure, and a shift costs more than on dev.
_AS_GOOD_F1 = 0.2
# A score of exactly 0 or 1 must cost much, not infinitely much.
_SURE = 1e-6


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a model's logits have gone through, and which of its entities are returned."""

    outside_shift: float
    temperature: float
    min_score: float = 0.0
    label_consistency: float = 0.0

    def __str__(self) -> str:
        logits = f"shift of O {self.outside_shift:g}, temperature {self.temperature:g}"
        entities = f"least score {self.min_score:g}, consistency {self.label_consistency:g}"
        return f"{logits} of the scores, {entities}"


_NONE = Calibration(0.0, 1.0)


class Adjusted:
    """A scorer whose logits are shifted, then divided by a temperature; scores each batch once.

    Args:
        scorer: is always given the same batches in the same order, from `begin` on.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._scored: list[NDArray[np.float32]] = []
        self._next = 0
        self._calibration = _NONE

    def begin(self, calibration: Calibration) -> None:
        """Goes back to the first batch."""
        self._next = 0
        self._calibration = calibration

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores int64 [batch, tokens]; returns float32 [batch, tokens, labels]."""
        if self._next == len(self._scored):
            self._scored.append(self._scorer.run(ids, mask))
        self._next += 1
        shifted = self._scored[self._next - 1] + outside(self._calibration.outside_shift)
        return shifted / np.float32(self._calibration.temperature)


def calibrate(folder: Path, corpora: Sequence[Corpus], shift: float | None = None) -> Calibration:
    """Calibrates a checkpoint; what was found already stays as it is.

    Args:
        folder: the checkpoint; its classifier is written anew.
        corpora: what to measure by; none change nothing.
        shift: of O, in place of the one that dev tells; calibrates anew what was calibrated.

    Returns:
        What was found.

    Raises:
        CheckpointInvalid: the folder is not a checkpoint.
    """
    record = load_record(folder)
    present = Calibration(
        record.outside_shift,
        record.temperature,
        record.min_score or 0.0,
        record.label_consistency or 0.0,
    )
    calibrated = shift is None and (present.outside_shift, present.temperature) != (0.0, 1.0)
    is_whole = record.min_score is not None and record.label_consistency is not None
    if not corpora or (calibrated and is_whole):
        return present
    network = load_cased(folder)
    if not calibrated:
        network.load_state_dict(uncalibrated(network.state_dict(), record))
    recognizer = Recognizer(
        serving_tokenizer(load_tokenizer(folder), network),
        TorchScorer(network),
        Decoder(LABELS),
    )
    if calibrated:  # before there was one of the two
        found = _completed(recognizer, corpora, record, present)
        keep_record(folder, replace(record, **asdict(found)))
        return found
    found = best_calibration(recognizer, corpora, shift)
    adjust_classifier(
        folder,
        outside((found.outside_shift - present.outside_shift) / present.temperature),
        present.temperature / found.temperature,
        replace(record, **asdict(found)),
    )
    return found


def _completed(
    recognizer: Recognizer, corpora: Sequence[Corpus], record: TrainingRecord, present: Calibration
) -> Calibration:
    """Finds what a checkpoint lacks that was calibrated before; its weights hold the rest."""
    found = present
    if record.label_consistency is None:
        found = replace(found, label_consistency=_least_consistency(recognizer, corpora, _NONE))
    if record.min_score is None:
        recognizer = replace(recognizer, decoder=_consistent(recognizer.decoder, found))
        found = replace(found, min_score=least_min_score(recognizer, corpora))
    return found


def uncalibrated(state: Mapping[str, Tensor], record: TrainingRecord) -> dict[str, Tensor]:
    """The weights of a checkpoint as they were before it was calibrated.

    Args:
        state: its weights by name.
        record: says what its logits have gone through.
    """
    weight, bias = (state[name] * record.temperature for name in CLASSIFIER)
    shifted = bias - torch.from_numpy(outside(record.outside_shift))
    return {**state, **dict(zip(CLASSIFIER, (weight, shifted), strict=True))}


def best_calibration(
    recognizer: Recognizer, corpora: Sequence[Corpus], shift: float | None = None
) -> Calibration:
    """The least shift as good as the best, the temperature that makes its scores likeliest, and
    the least label consistency and the least score of an entity that are as good as the best.

    The best has the highest mean F1; as good is what differs by less than chance does.

    Args:
        recognizer: the model.
        corpora: texts with their spans; at least one.
        shift: of O, in place of that one.

    Returns:
        A shift in [-1, 1] unless it was given, a temperature in [0.5, 8], to three digits, a
        consistency in [0, 0.75], 0 where no set has documents, and a score in [0, 0.5]; 0, 1, 0
        and 0 where nothing is found.
    """
    adjusted = Adjusted(recognizer.scorer)
    reader = replace(recognizer, scorer=adjusted)
    if shift is None:
        shift = _least_shift(reader, adjusted, corpora)
    found = Calibration(shift, _likeliest_temperature(reader, adjusted, corpora, shift))
    found = replace(found, label_consistency=_least_consistency(recognizer, corpora, found))
    adjusted.begin(found)
    reader = replace(reader, decoder=_consistent(reader.decoder, found))
    return replace(found, min_score=least_min_score(reader, corpora))


def _least_consistency(
    recognizer: Recognizer, corpora: Sequence[Corpus], calibration: Calibration
) -> float:
    documents = [in_documents(corpus) for corpus in corpora if has_documents(corpus)]
    if not documents:
        return 0.0
    adjusted = Adjusted(recognizer.scorer)

    def mean_f1(consistency: float) -> float:
        found = replace(calibration, label_consistency=consistency)
        adjusted.begin(found)
        decoder = _consistent(recognizer.decoder, found)
        reader = replace(recognizer, scorer=adjusted, decoder=decoder)
        return fmean(evaluate(reader, corpus).f1 for corpus in documents)

    return _least_as_good({consistency: mean_f1(consistency) for consistency in _CONSISTENCIES})


def _consistent(decoder: Decoder, calibration: Calibration) -> Decoder:
    return Decoder(decoder.labels, label_consistency=calibration.label_consistency)


def _least_shift(recognizer: Recognizer, adjusted: Adjusted, corpora: Sequence[Corpus]) -> float:
    def mean_f1(shift: float) -> float:
        adjusted.begin(Calibration(shift, 1.0))
        return fmean(evaluate(recognizer, corpus).f1 for corpus in corpora)

    return _least_as_good({shift: mean_f1(shift) for shift in _SHIFTS})


def least_min_score(recognizer: Recognizer, corpora: Sequence[Corpus]) -> float:
    """The least score of an entity with which the mean F1 is as good as with the best.

    Args:
        recognizer: the model; what it says itself does not count.
        corpora: texts with their spans; at least one.

    Returns:
        A score in [0, 0.5].
    """
    findings = [find(recognizer, corpus) for corpus in corpora]
    return _least_as_good(
        {score: fmean(quality_above([f], score).f1 for f in findings) for score in _MIN_SCORES}
    )


def _least_as_good(mean_f1: Mapping[float, float]) -> float:
    """The first of what has a mean F1 as good as the best."""
    as_good = max(mean_f1.values()) - _AS_GOOD_F1
    return next(setting for setting, f1 in mean_f1.items() if f1 >= as_good)


def _likeliest_temperature(
    recognizer: Recognizer, adjusted: Adjusted, corpora: Sequence[Corpus], shift: float
) -> float:
    def loss(logarithm: float) -> float:
        adjusted.begin(Calibration(shift, math.exp(logarithm)))
        return log_loss(
            [e for corpus in corpora for e in scored_entities(find(recognizer, corpus))]
        )

    low, high = math.log(_COLDEST), math.log(_HOTTEST)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    left_loss, right_loss = loss(left), loss(right)
    if math.isnan(left_loss):
        return _NONE.temperature
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


def outside(shift: float) -> NDArray[np.float32]:
    """A shift of the logit of O, for all labels: float32 [labels]."""
    return np.array([shift if label == "O" else 0.0 for label in LABELS], np.float32)


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
