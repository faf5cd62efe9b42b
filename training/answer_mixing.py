"""Mixing: the weighted mean of what teachers that were asked apart said."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

import numpy as np
from numpy.typing import NDArray

from training.answers import Answers, AnswersInvalid, basis_of
from training.data import LABELS, Answer


def mix(parts: Sequence[Answers], weights: Sequence[float]) -> Answers:
    """The weighted mean of what teachers answered apart.

    Of a token that some say nothing of, the mean is of the others. Features, which one of them may
    have, are kept as they are.

    Args:
        parts: answers, of one vocabulary; at least one.
        weights: of each; only their ratios matter.

    Raises:
        AnswersInvalid: they are about other tokens, several have features, or there is not one
            positive weight for each.
    """
    if len(weights) != len(parts) or not all(0 < w < float("inf") for w in weights):
        raise AnswersInvalid(
            f"{len(weights)} weights for {len(parts)} files of answers: give one number above 0"
            " for each"
        )
    if any(part.vocabulary != parts[0].vocabulary for part in parts):
        raise AnswersInvalid("answers about unlike tokens: mix those of teachers of one vocabulary")
    if sum(bool(part.features) for part in parts) > 1:
        raise AnswersInvalid("features are of one teacher: mix no two files that have them")
    digests = reduce(or_, (dict.fromkeys(part.by_digest) for part in parts))
    teachers = [
        f"{weight:g} of {teacher}"
        for part, weight in zip(parts, weights, strict=True)
        for teacher in part.teachers
    ]
    return Answers(
        tuple(teachers),
        parts[0].vocabulary,
        {
            digest: _mean(
                [
                    (part.by_digest[digest], weight)
                    for part, weight in zip(parts, weights, strict=True)
                    if digest in part.by_digest
                ]
            )
            for digest in digests
        },
        features=basis_of(parts),
    )


def _mean(weighed: Sequence[tuple[Answer, float]]) -> Answer:
    if len({len(answer) for answer, _ in weighed}) > 1:
        raise AnswersInvalid(
            "answers to a text were cut at unlike lengths: ask all teachers with the same"
            " --most-tokens"
        )
    total = np.sum([weight * _labels(answer) for answer, weight in weighed], axis=0)
    said = total.sum(-1, keepdims=True)
    mean = np.divide(total, said, out=np.zeros_like(total), where=said > 0)
    features = [answer[:, len(LABELS) :] for answer, _ in weighed]
    return np.concatenate([mean.astype(np.float16), *features], axis=-1)


def _labels(answer: Answer) -> NDArray[np.float32]:
    return answer[:, : len(LABELS)].astype(np.float32)
