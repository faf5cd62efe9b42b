"""Activations: what the products of a model are given, seen over the tokens of some texts.

It says what range the integers of a product must span, and which of its weights matter most.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from training.data import Corpus
from training.graph import products
from training.recognition import Recognizer, pad

_SEED = 20240607
# Some 1,300 sentences of the six English sets; half a minute.
SEEN_TOKENS = 32_768
_BATCH = 32


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What was multiplied with one matrix."""

    least: NDArray[np.float32]  # float32 [channels]
    greatest: NDArray[np.float32]  # float32 [channels]
    moments: NDArray[np.float64]  # float64 [channels, channels], the mean of x x^T

    def divided(self, by: NDArray[np.float32]) -> "Seen":
        """The same, each channel divided by a number of its own, float32 [channels]."""
        return Seen(self.least / by, self.greatest / by, self.moments / np.outer(by, by))


def training_rows(recognizer: Recognizer, corpora: Sequence[Corpus]) -> list[NDArray[np.int64]]:
    """Token ids of sentences in random order, to see what they make of a model.

    Args:
        recognizer: tokenizes.
        corpora: train splits; never dev.

    Returns:
        int64 [tokens] each, SEEN_TOKENS or a window more in all, or what there is.
    """
    texts = [example.text for corpus in corpora for example in corpus.examples]
    random.Random(_SEED).shuffle(texts)  # noqa: S311 - keeps no secret
    rows: list[NDArray[np.int64]] = []
    n_tokens = 0
    for text in texts:
        for window in recognizer.tokenizer.tokenize(text).windows:
            rows.append(window.ids)
            n_tokens += len(window.ids)
        if n_tokens >= SEEN_TOKENS:
            break
    return rows


def see(float32: Path, rows: Sequence[NDArray[np.int64]], threads: int) -> dict[str, Seen]:
    """Runs a model and keeps what its products are given.

    Args:
        float32: a file of `training.export`.
        rows: token ids, int64 [tokens] each; at least one.
        threads: cores that a run uses.

    Returns:
        By the name of the tensor that is multiplied.
    """
    model = onnx.load(float32)
    names = list(dict.fromkeys(node.input[0] for node, _ in products(model)))
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    sums: dict[str, Seen] = {}
    by_length = sorted(rows, key=len)
    for start in range(0, len(rows), _BATCH):
        ids, mask = pad(by_length[start : start + _BATCH])
        outputs = session.run(names, {"input_ids": ids, "attention_mask": mask})
        for name, values in zip(names, outputs, strict=True):
            sums[name] = _joined(sums.get(name), values)
    n_tokens = sum(map(len, rows))
    return {name: Seen(s.least, s.greatest, s.moments / n_tokens) for name, s in sums.items()}


def _joined(before: Seen | None, values: NDArray[np.float32]) -> Seen:
    """What was seen before and float32 [tokens, channels] more; moments are sums."""
    least, greatest = values.min(axis=0), values.max(axis=0)
    moments = (values.T @ values).astype(np.float64)
    if before is None:
        return Seen(least, greatest, moments)
    return Seen(
        np.minimum(before.least, least),
        np.maximum(before.greatest, greatest),
        before.moments + moments,
    )
