"""Batch independence: whether a text's answer changes with the texts that it is batched with."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic

from inference.core import Entity
from training.data import Corpus
from training.recognition import Recognizer

_SEED = 20240607


@dataclass(frozen=True, slots=True)
class Independence:
    """What changed between texts alone and texts in mixed batches."""

    texts: int
    changed: int  # texts whose spans or labels differ
    largest_score_difference: float  # over the entities that are the same


def sample_texts(corpora: Sequence[Corpus], n_texts: int) -> list[str]:
    """Texts of mixed length and origin, in random order; half of them of the first corpus.

    Args:
        corpora: at least one.
        n_texts: how many; fewer come where a corpus holds less than its share.
    """
    rng = random.Random(_SEED)  # noqa: S311 - shuffles, keeps no secret
    others = len(corpora) - 1
    share = n_texts // 2 // max(1, others)
    counts = [n_texts - share * others, *[share] * others]
    texts = [
        example.text
        for corpus, count in zip(corpora, counts, strict=True)
        for example in rng.sample(corpus.examples, min(count, len(corpus.examples)))
    ]
    rng.shuffle(texts)
    return texts


def measure_independence(
    recognizer: Recognizer, texts: Sequence[str], batch_size: int
) -> Independence:
    """Compares each text alone with the same text in a padded batch of others.

    Args:
        recognizer: the model.
        texts: in random order, so that lengths mix.
        batch_size: texts in a batch.
    """
    alone = recognizer.recognize(texts, batch_size=1)
    mixed = recognizer.recognize(texts, batch_size=batch_size, by_length=False)
    pairs = list(zip(alone, mixed, strict=True))
    same = [(a, m) for a, m in pairs if _names(a) == _names(m)]
    differences = [abs(x.score - y.score) for a, m in same for x, y in zip(a, m, strict=True)]
    return Independence(len(pairs), len(pairs) - len(same), max(differences, default=0.0))


def quantize_ordinarily(source: Path, target: Path) -> None:
    """Writes the int8 form that onnxruntime's own dynamic quantization makes, to compare with.

    Args:
        source: a float32 file of `training.export`.
        target: the file to write.
    """
    quantize_dynamic(
        source,
        target,
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        # Types of onnxruntime's own operators cannot be inferred: 1 is float32.
        extra_options={"DefaultTensorType": 1},
    )


def _names(entities: Sequence[Entity]) -> list[tuple[int, int, str]]:
    return [(entity.start, entity.end, entity.label) for entity in entities]
