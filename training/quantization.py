"""Quantization: a float32 file as an int8 one whose answers do not depend on the batch.

Ordinary dynamic quantization takes one activation scale from the whole batch, padding included, so
that a text's neighbours change its labels. Here every token has its own scale: the integers of a
row depend on that row alone, and integer sums have no order. Weights have a scale for each column.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, parser

# The products of a uint8 and an int8 are added in pairs into an int16 on processors with AVX2 but
# without VNNI: 2 x 255 x 63 = 32,130 is below 32,768, with 127 the sum would overflow.
WEIGHT_LIMIT = 63
# A table is only read, never multiplied in integers.
_TABLE_LIMIT = 127
# uint8 with 128 for zero; 127 on each side.
_ACTIVATION_LIMIT = 127
_ACTIVATION_ZERO = 128
# A column of zeros must not be divided by zero; no true weight is this small.
_SMALLEST_PEAK = 1e-8
# gelu is never below -0.16997 (at x = -0.7518): what comes out of it needs few integers for its
# negatives, and has nearly twice as many for the rest. Its zero is this integer.
_GELU_ZERO = 12
_GELU_LIMIT = 255 - _GELU_ZERO
_GELU_LEAST_SCALE = 0.17 / _GELU_ZERO  # so that the negatives always fit
# The classifier is a thousandth of the work and the last step before the answer.
_ALWAYS_FLOAT = frozenset({"classifier_weight"})
# Below this a table of float32 costs less than the nodes that would restore it.
SMALLEST_TABLE_ROWS = 1024

_HEADER = '<ir_version: 10, opset_import: ["": 18, "com.microsoft": 1]>'
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
_LOOKUP = """
lookup (int64[batch, tokens] {x}) => (float[batch, tokens, width] {y}) {{
    {y}_int8 = Gather({w}_int8, {x})
    {y}_fine = Cast<to = 1>({y}_int8)
    {y}_scale = Gather({w}_scales, {x})
    {y} = Mul({y}_fine, {y}_scale)
}}
"""


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedTensor:
    """Integers with a scale for each row or column."""

    integers: NDArray[np.int8]  # int8 [rows, columns]
    scales: NDArray[np.float32]  # float32 [columns], or [rows, 1]


def quantize(
    source: Path,
    target: Path,
    smallest_table_rows: int = SMALLEST_TABLE_ROWS,
    kept_float: Collection[str] = (),
) -> None:
    """Writes the int8 form of a float32 file.

    Args:
        source: a file of `training.export`.
        target: the file to write; its folder is made if it is missing.
        smallest_table_rows: smaller tables stay float32.
        kept_float: names of matrices that stay float32.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(quantized(onnx.load(source), smallest_table_rows, kept_float), target)


def quantizable(model: onnx.ModelProto) -> list[str]:
    """The names of the constant matrices whose products `quantized` makes integer, in graph order.

    Args:
        model: float32.
    """
    tensors = _tensors(model)
    names = (
        _constant_of(node, tensors, SMALLEST_TABLE_ROWS)
        for node in model.graph.node
        if node.op_type == "MatMul"
    )
    return [name for name in names if name]


def quantized(
    model: onnx.ModelProto, smallest_table_rows: int, kept_float: Collection[str] = ()
) -> onnx.ModelProto:
    """Replaces products with constant matrices, and look-ups in large tables, by int8 ones.

    Args:
        model: float32; constants are initializers, opset 18 or above; what is multiplied are rows,
            [rows, width], as many in every product.
        smallest_table_rows: smaller tables stay float32.
        kept_float: names of matrices that stay float32.

    Returns:
        A new model; inputs and outputs are the same.
    """
    tensors = _tensors(model)
    nodes: list[onnx.NodeProto] = []
    added: dict[str, NDArray[np.generic]] = _shared_tensors()
    quantized_rows: set[str] = set()
    kinds_with_zeros: set[str] = set()
    producers = {output: node.op_type for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        weight = _constant_of(node, tensors, smallest_table_rows)
        if weight is None or weight in kept_float:
            nodes.append(node)
            continue
        names = {"w": weight, "y": node.output[0]}
        if node.op_type == "Gather":
            part = quantize_rows(tensors[weight], _TABLE_LIMIT)
            nodes += _nodes(_LOOKUP, names | {"x": node.input[1]})
        else:
            part = quantize_columns(tensors[weight], WEIGHT_LIMIT)
            names["kind"] = _kind(producers[node.input[0]])
            # The zeros of a kind are made once, as are the integers of what is multiplied twice.
            if names["kind"] not in kinds_with_zeros:
                kinds_with_zeros.add(names["kind"])
                nodes += _nodes(_ZEROS, names | {"x": node.input[0]})
            if node.input[0] not in quantized_rows:
                quantized_rows.add(node.input[0])
                nodes += _activation(node.input[0], names["kind"])
            nodes += _nodes(_PRODUCT, names | {"x": node.input[0]})
        added |= {f"{weight}_int8": part.integers, f"{weight}_scales": part.scales}
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    _replace_tensors(result.graph, tensors | added)
    onnx.checker.check_model(result)
    return result


def quantize_columns(weight: NDArray[np.generic], limit: int) -> QuantizedTensor:
    """Integers in [-limit, limit], with one scale for each column.

    Args:
        weight: float32 [rows, columns].
        limit: largest integer, at most 127.
    """
    values = np.asarray(weight, dtype=np.float32)
    peaks = np.maximum(np.abs(values).max(axis=0), _SMALLEST_PEAK)
    scales = (peaks / limit).astype(np.float32)
    return QuantizedTensor(np.rint(values / scales).astype(np.int8), scales)


def quantize_rows(table: NDArray[np.generic], limit: int) -> QuantizedTensor:
    """Integers in [-limit, limit], with one scale for each row.

    Args:
        table: float32 [rows, columns].
        limit: largest integer, at most 127.
    """
    turned = quantize_columns(table.T, limit)
    return QuantizedTensor(np.ascontiguousarray(turned.integers.T), turned.scales[:, None])


def _constant_of(
    node: onnx.NodeProto, tensors: dict[str, NDArray[np.generic]], smallest_table_rows: int
) -> str | None:
    """The name of the float32 matrix that a node multiplies with or looks up in, if it has one."""
    if node.op_type not in {"MatMul", "Gather"}:
        return None
    is_table = node.op_type == "Gather"
    name = node.input[0 if is_table else 1]
    tensor = tensors.get(name)
    if tensor is None or tensor.dtype != np.float32 or tensor.ndim != 2 or name in _ALWAYS_FLOAT:
        return None
    return name if not is_table or len(tensor) >= smallest_table_rows else None


def _kind(producer: str) -> str:
    """How rows are made integers, by the operator that makes the rows."""
    return "gelu" if producer == "BiasGelu" else "activation"


def _activation(x: str, kind: str) -> list[onnx.NodeProto]:
    """The nodes that make rows integers."""
    template = _ACTIVATION.replace("{scale}", _GELU_SCALE if kind == "gelu" else _SCALE)
    return _nodes(template, {"x": x, "kind": kind})


def _tensors(model: onnx.ModelProto) -> dict[str, NDArray[np.generic]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _shared_tensors() -> dict[str, NDArray[np.generic]]:
    return {
        "one": np.array(1, dtype=np.float32),
        "activation_zero": np.array(_ACTIVATION_ZERO, dtype=np.uint8),
        "activation_zero_row": np.array([_ACTIVATION_ZERO], dtype=np.uint8),
        "one_axis": np.array([-1], dtype=np.int64),
        "activation_limit": np.array(_ACTIVATION_LIMIT, dtype=np.float32),
        "gelu_zero": np.array(_GELU_ZERO, dtype=np.uint8),
        "gelu_zero_row": np.array([_GELU_ZERO], dtype=np.uint8),
        "gelu_limit": np.array(_GELU_LIMIT, dtype=np.float32),
        "gelu_least_scale": np.array(_GELU_LEAST_SCALE, dtype=np.float32),
        "last_axis": np.array([-1], dtype=np.int64),
    }


def _nodes(template: str, names: dict[str, str]) -> list[onnx.NodeProto]:
    return list(parser.parse_graph(template.format(**names)).node)


def _replace_tensors(graph: onnx.GraphProto, tensors: dict[str, NDArray[np.generic]]) -> None:
    """Gives a graph those of the tensors that its nodes use."""
    used = {name for node in graph.node for name in node.input}
    del graph.initializer[:]
    graph.initializer.extend(
        numpy_helper.from_array(array, name) for name, array in tensors.items() if name in used
    )
