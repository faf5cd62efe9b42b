"""Smoothing: a network that computes the same, with channels of like size before its products.

Some channels of a BERT are ten times as large as the others, in a few tokens fifty times. One scale
for all of a product's inputs would leave the others few integers. So a channel is divided by a
number of its own, and its row of the matrix is multiplied by it. For what comes out of a layer
normalization the numbers are part of the gain, of which the product gets a copy; for what the
attention puts together they are part of the matrix that makes the values.

Source: Xiao, Lin, Seznec, Wu, Demouth and Han, SmoothQuant (2023).
"""

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from training.activations import Seen
from training.graph import matrix_of, rebuilt, tensors_of

# How much of a channel's size moves into the matrix; what the weights are as large as stays. By
# the error of the products, least between 0.7 and 0.8.
_MOVED = 0.75
# Of what is attended to, all: the values' matrix has a scale for each column, so that dividing
# there costs nothing.
_MOVED_FROM_VALUES = 1.0
_SMALLEST = 1e-5
_EVEN = "_even"


def smoothed(
    model: onnx.ModelProto, seen: Mapping[str, Seen]
) -> tuple[onnx.ModelProto, dict[str, Seen]]:
    """Makes channels even.

    Args:
        model: of `training.export`.
        seen: of `training.activations`, of the same model.

    Returns:
        A model that computes the same, and what its products are given.
    """
    tensors = tensors_of(model)
    now = dict(seen)
    makers = {output: node for node in model.graph.node for output in node.output}
    nodes: list[onnx.NodeProto] = []
    for old in model.graph.node:
        node = onnx.NodeProto()
        node.CopyFrom(old)
        matrix = matrix_of(node, tensors) if node.op_type == "MatMul" else None
        rows = node.input[0] if matrix else ""
        if matrix and makers[rows].op_type == "Mul":
            by = _sizes(seen[rows], tensors[matrix], _MOVED)
            normal, gain = makers[rows].input
            tensors[f"{gain}{_EVEN}"] = _float(tensors[gain]) / by
            tensors[matrix] = _float(tensors[matrix]) * by[:, None]
            node.input[0] = f"{rows}{_EVEN}"
            nodes.append(helper.make_node("Mul", [normal, f"{gain}{_EVEN}"], [node.input[0]]))
            now[node.input[0]] = seen[rows].divided(by)
        elif matrix and rows.startswith("attended"):
            by = _sizes(seen[rows], tensors[matrix], _MOVED_FROM_VALUES)
            layer = rows.removeprefix("attended")
            for name in (f"attention_weight{layer}", f"attention_bias{layer}"):
                tensors[name] = _values_divided(tensors[name], by)
            tensors[matrix] = _float(tensors[matrix]) * by[:, None]
            now[rows] = seen[rows].divided(by)
        nodes.append(node)
    return rebuilt(model, nodes, tensors), now


def unsmoothed(tensors: dict[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """The constants as they were before, but for the values, which stay divided.

    Args:
        tensors: float32, of a file that was smoothed, or of any other.
    """
    result = dict(tensors)
    for even in [name for name in tensors if name.endswith(_EVEN)]:
        gain = even.removesuffix(_EVEN)
        matrix = _matrix_after(gain)
        before, after = (_float(tensors[name]) for name in (gain, even))
        # A channel whose gain is 0 is never multiplied with.
        by = np.divide(before, after, out=np.ones_like(before), where=after != 0)
        result[matrix] = _float(tensors[matrix]) / by[:, None]
        del result[even]
    return result


def _matrix_after(gain: str) -> str:
    """The matrix that is multiplied with what has this gain."""
    if gain == "embedding_gain":
        return "attention_weight0"
    layer = gain.removeprefix("middle_").removeprefix("gain")
    return f"wide_weight{layer}" if gain.startswith("middle_") else f"attention_weight{layer}"


def _sizes(seen: Seen, matrix: NDArray[np.generic], moved: float) -> NDArray[np.float32]:
    """What to divide each channel by, float32 [channels]."""
    rows = np.maximum(np.abs(seen.least), np.abs(seen.greatest))
    weights = np.abs(_float(matrix)).max(axis=1)
    sizes = np.maximum(rows, _SMALLEST) ** moved / np.maximum(weights, _SMALLEST) ** (1 - moved)
    return _float(sizes)


def _float(tensor: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.asarray(tensor, dtype=np.float32)


def _values_divided(joined: NDArray[np.generic], by: NDArray[np.float32]) -> NDArray[np.float32]:
    """A joined matrix or bias, float32 [..., 3 x channels], the last third divided."""
    ones = np.ones(2 * len(by), np.float32)
    return _float(_float(joined) / np.concatenate([ones, by]))
