"""Sensitivity: what each matrix of a model costs in precision when it is made int8."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from numpy.typing import NDArray

from inference.runtime import Session
from training.graph import products
from training.quantization import quantized
from training.recognition import Scorer, pad


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How much nearer the logits are to float32's when one matrix stays float32."""

    matrix: str
    gain: float  # share of the mean logit difference of the whole int8 model, below 1


def sensitivities(
    float32: Path, rows: Sequence[NDArray[np.int64]], n_labels: int, threads: int
) -> list[Sensitivity]:
    """Leaves each matrix out of the quantization once.

    Logits are compared instead of F1: they move with every matrix, where F1 of some thousand spans
    moves in steps that are larger than what one matrix costs.

    Args:
        float32: a file of `training.export`.
        rows: token ids, int64 [tokens] each; all in one batch.
        n_labels: that the model scores.
        threads: cores that a run uses.

    Returns:
        The most sensitive first.
    """
    model = onnx.load(float32)
    exact = Session.load(float32, threads, n_labels)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"

        def difference(kept_float: Sequence[str]) -> float:
            onnx.save(quantized(model, {}, kept_float=kept_float), path)
            return mean_difference(exact, Session.load(path, threads, n_labels), rows)

        whole = difference(())
        ranked = [
            Sensitivity(name, 1 - difference((name,)) / whole if whole else 0.0)
            for _, name in products(model)
        ]
    return sorted(ranked, key=lambda each: each.gain, reverse=True)


def mean_difference(exact: Scorer, near: Scorer, rows: Sequence[NDArray[np.int64]]) -> float:
    """The mean absolute difference of two models' logits over the tokens of one batch.

    Args:
        exact: one model.
        near: the other.
        rows: token ids, int64 [tokens] each.
    """
    ids, mask = pad(rows)
    differences = np.abs(exact.run(ids, mask) - near.run(ids, mask))
    return float(differences[mask == 1].mean())
