"""Quantization: a float32 file as an int8 one whose answers do not depend on the batch.

Ordinary dynamic quantization takes one activation scale from the whole batch, padding included, so
that a text's neighbours change its labels. Here the scales of most products are fixed beforehand,
from what training texts make of the model (`training.activations`), after their channels were made
even (`training.smoothing`); what comes out of gelu has a scale for each token, found at run time.
The integers of a row depend on that row alone, and integer sums have no order.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from training.activations import Seen, see
from training.graph import SMALLEST_TABLE_ROWS, matrix_of, nodes_of, rebuilt, tensors_of
from training.rounding import QuantizedTensor, quantize_columns, quantize_for, quantize_rows
from training.smoothing import smoothed

# The products of a uint8 and an int8 are added in pairs into an int16 on processors with AVX2 but
# without VNNI: 2 x 255 x 63 = 32,130 is below 32,768, with 127 the sum would overflow.
WEIGHT_LIMIT = 63
# A table is only read, never multiplied in integers.
_TABLE_LIMIT = 127
# uint8 with 128 for zero; 127 on each side.
_ACTIVATION_LIMIT = 127
_ACTIVATION_ZERO = 128
_LARGEST_INTEGER = 255
# gelu is never below -0.16997 (at x = -0.7518): what comes out of it needs few integers for its
# negatives, and has nearly twice as many for the rest. Its zero is this integer.
_GELU_ZERO = 12
_GELU_LIMIT = _LARGEST_INTEGER - _GELU_ZERO
_GELU_LEAST_SCALE = 0.17 / _GELU_ZERO  # so that the negatives always fit
_GELU = "Gelu"  # the operator
_SMALLEST_RANGE = 1e-6  # of what is always 0

# A row of zeros gets the scale 0: whatever its integers are, their products are 0 again.
_SCALE = """
    {x}_sizes = Abs({x})
    {x}_peak = ReduceMax<keepdims = 0>({x}_sizes, last_axis)
    {x}_scale = Div({x}_peak, activation_limit)
"""
_GELU_SCALE = """
    {x}_peak = ReduceMax<keepdims = 0>({x}, last_axis)
    {x}_peak_scale = Div({x}_peak, gelu_limit)
    {x}_scale = Max({x}_peak_scale, gelu_least_scale)
"""
_ACTIVATION = """
rows (float[tokens, width] {x}) => (float[tokens] {x}_scale) {{
    {scale}
    {x}_column = Unsqueeze({x}_scale, last_axis)
    {x}_integers = QuantizeLinear<axis = 0>({x}, {x}_scale, {kind}_zeros)
}}
"""
_ZEROS = """
zeros (float[tokens, width] {x}) => (uint8[tokens] {kind}_zeros) {{
    {kind}_count = Shape<start = 0, end = 1>({x})
    {kind}_zeros = Expand({kind}_zero_row, {kind}_count)
}}
"""
_PRODUCT = """
product (float[tokens, width] {x}) => (float[tokens, width] {y}) {{
    {y}_rows = com.microsoft.MatMulIntegerToFloat
        ({x}_integers, {w}_int8, one, {w}_scales, {kind}_zero)
    {y} = Mul({y}_rows, {x}_column)
}}
"""
# With one scale for all rows the sum with the bias is part of the product.
_FIXED_PRODUCT = """
product (float[tokens, width] {x}) => (float[tokens, width] {y}) {{
    {x}_integers = QuantizeLinear({x}, {x}_scale, {x}_zero)
    {y} = com.microsoft.MatMulIntegerToFloat
        ({x}_integers, {w}_int8, {x}_scale, {w}_scales, {x}_zero, , {bias})
}}
"""
_LOOKUP = """
lookup (int64[batch, tokens] {x}) => (float[batch, tokens, width] {y}) {{
    {y}_int8 = Gather({w}_int8, {x})
    {y}_fine = Cast<to = 1>({y}_int8)
    {y}_scale = Gather({w}_scales, {x})
    {y} = Mul({y}_fine, {y}_scale)
}}
"""


def quantize(
    source: Path,
    target: Path,
    rows: Sequence[NDArray[np.int64]] = (),
    threads: int = 1,
    smallest_table_rows: int = SMALLEST_TABLE_ROWS,
) -> None:
    """Writes the int8 form of a float32 file.

    Args:
        source: a file of `training.export`.
        target: the file to write; its folder is made if it is missing.
        rows: token ids of training texts, int64 [tokens] each, that fix scales; without them every
            product finds a scale for each token at run time, which is slower.
        threads: cores that run the float32 file on them.
        smallest_table_rows: smaller tables stay float32.
    """
    model = onnx.load(source)
    seen: Mapping[str, Seen] = {}
    if rows:
        model, seen = smoothed(model, see(source, rows, threads))
    target.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(quantized(model, seen, smallest_table_rows), target)


def quantized(
    model: onnx.ModelProto,
    seen: Mapping[str, Seen],
    smallest_table_rows: int = SMALLEST_TABLE_ROWS,
    kept_float: Collection[str] = (),
) -> onnx.ModelProto:
    """Replaces products with constant matrices, and look-ups in large tables, by int8 ones.

    Args:
        model: float32; constants are initializers, opset 18 or above; what is multiplied are rows,
            [rows, width], as many in every product.
        seen: of what is multiplied, by name; what is missing gets a scale for each token.
        smallest_table_rows: smaller tables stay float32.
        kept_float: names of matrices that stay float32.

    Returns:
        A new model; inputs and outputs are the same.
    """
    graph = _Int8Graph(tensors_of(model), seen)
    makers = {output: node.op_type for node in model.graph.node for output in node.output}
    sums = {node.input[0]: node for node in model.graph.node if node.op_type == "Add"}
    summed: set[str] = set()  # with their biases, as part of their products
    for node in model.graph.node:
        matrix = matrix_of(node, graph.tensors, smallest_table_rows)
        if node.output[0] in summed:
            continue
        if matrix is None or matrix in kept_float:
            graph.nodes.append(_faster(node))
        elif node.op_type == "Gather":
            graph.look_up(node, matrix)
        elif node.input[0] in seen and makers[node.input[0]] != _GELU:
            total = sums[node.output[0]]
            graph.multiply(node, matrix, total)
            summed.add(total.output[0])
        else:
            graph.multiply_by_tokens(node, matrix, is_gelu=makers[node.input[0]] == _GELU)
    return rebuilt(model, graph.nodes, graph.tensors)


class _Int8Graph:
    """The nodes and constants of an int8 model, as they come to be."""

    def __init__(self, tensors: dict[str, NDArray[np.generic]], seen: Mapping[str, Seen]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors = tensors | _shared_tensors()
        self._seen = seen
        # The zeros of a kind are made once, as are the integers of what is multiplied twice.
        self._kinds_with_zeros: set[str] = set()
        self._with_integers: set[str] = set()

    def look_up(self, node: onnx.NodeProto, table: str) -> None:
        """Reads rows of a table that is int8."""
        self._add_matrix(table, quantize_rows(self.tensors[table], _TABLE_LIMIT))
        names = {"w": table, "x": node.input[1], "y": node.output[0]}
        self.nodes += nodes_of(_LOOKUP, names)

    def multiply(self, node: onnx.NodeProto, matrix: str, total: onnx.NodeProto) -> None:
        """A product of rows that have one fixed scale, and its sum with a bias."""
        rows = node.input[0]
        scale, zero = _fixed_scale(self._seen[rows])
        self.tensors[f"{rows}_scale"] = np.array(scale, dtype=np.float32)
        self.tensors[f"{rows}_zero"] = np.array(zero, dtype=np.uint8)
        # What rounding takes from the rows is noise, the same in every channel.
        noise = scale**2 / 12 * np.eye(len(self._seen[rows].moments))
        moments = self._seen[rows].moments + noise
        self._add_matrix(matrix, quantize_for(self.tensors[matrix], WEIGHT_LIMIT, moments))
        names = {"w": matrix, "x": rows, "y": total.output[0], "bias": total.input[1]}
        self.nodes += nodes_of(_FIXED_PRODUCT, names)

    def multiply_by_tokens(self, node: onnx.NodeProto, matrix: str, *, is_gelu: bool) -> None:
        """A product of rows of which each has its own scale."""
        rows, kind = node.input[0], "gelu" if is_gelu else "activation"
        if kind not in self._kinds_with_zeros:
            self._kinds_with_zeros.add(kind)
            self.nodes += nodes_of(_ZEROS, {"x": rows, "kind": kind})
        if rows not in self._with_integers:
            self._with_integers.add(rows)
            template = _ACTIVATION.replace("{scale}", _GELU_SCALE if is_gelu else _SCALE)
            self.nodes += nodes_of(template, {"x": rows, "kind": kind})
        weight, seen = self.tensors[matrix], self._seen.get(rows)
        self._add_matrix(
            matrix,
            quantize_for(weight, WEIGHT_LIMIT, seen.moments)
            if seen
            else quantize_columns(weight, WEIGHT_LIMIT),
        )
        names = {"w": matrix, "x": rows, "y": node.output[0], "kind": kind}
        self.nodes += nodes_of(_PRODUCT, names)

    def _add_matrix(self, name: str, part: QuantizedTensor) -> None:
        self.tensors |= {f"{name}_int8": part.integers, f"{name}_scales": part.scales}


def _fixed_scale(seen: Seen) -> tuple[float, int]:
    """The scale and the zero of integers that hold all that was seen; zero among it."""
    least, greatest = min(float(seen.least.min()), 0.0), max(float(seen.greatest.max()), 0.0)
    scale = max(greatest - least, _SMALLEST_RANGE) / _LARGEST_INTEGER
    return scale, round(-least / scale)


def _faster(node: onnx.NodeProto) -> onnx.NodeProto:
    """The node, or what is nearly the same in less time."""
    result = onnx.NodeProto()
    result.CopyFrom(node)
    if node.op_type == _GELU:
        # By tanh, within 0.0005, which is a thirtieth of the least step of what comes after.
        result.op_type = "FastGelu"
    return result


def _shared_tensors() -> dict[str, NDArray[np.generic]]:
    return {
        "one": np.array(1, dtype=np.float32),
        "activation_zero": np.array(_ACTIVATION_ZERO, dtype=np.uint8),
        "activation_zero_row": np.array([_ACTIVATION_ZERO], dtype=np.uint8),
        "activation_limit": np.array(_ACTIVATION_LIMIT, dtype=np.float32),
        "gelu_zero": np.array(_GELU_ZERO, dtype=np.uint8),
        "gelu_zero_row": np.array([_GELU_ZERO], dtype=np.uint8),
        "gelu_limit": np.array(_GELU_LIMIT, dtype=np.float32),
        "gelu_least_scale": np.array(_GELU_LEAST_SCALE, dtype=np.float32),
        "last_axis": np.array([-1], dtype=np.int64),
    }
