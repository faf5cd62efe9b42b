"""What is read and written in an ONNX graph: its constants, and the products with them."""

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, parser

# Below this a table of float32 costs less than the nodes that would restore it.
SMALLEST_TABLE_ROWS = 1024
# The classifier is a thousandth of the work and the last step before the answer.
_ALWAYS_FLOAT = frozenset({"classifier_weight"})


def tensors_of(model: onnx.ModelProto) -> dict[str, NDArray[np.generic]]:
    """The constants of a model by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def matrix_of(
    node: onnx.NodeProto,
    tensors: dict[str, NDArray[np.generic]],
    smallest_table_rows: int = SMALLEST_TABLE_ROWS,
) -> str | None:
    """The name of the matrix that a node multiplies with or looks up in, if it can be made int8.

    Args:
        node: any.
        tensors: the constants of its model.
        smallest_table_rows: smaller tables stay float32.
    """
    if node.op_type not in {"MatMul", "Gather"}:
        return None
    is_table = node.op_type == "Gather"
    name = node.input[0 if is_table else 1]
    tensor = tensors.get(name)
    if tensor is None or tensor.dtype != np.float32 or tensor.ndim != 2 or name in _ALWAYS_FLOAT:
        return None
    return name if not is_table or len(tensor) >= smallest_table_rows else None


def products(model: onnx.ModelProto) -> Iterator[tuple[onnx.NodeProto, str]]:
    """The products with constant matrices that can be made int8, and the names of the matrices.

    Args:
        model: float32.
    """
    tensors = tensors_of(model)
    for node in model.graph.node:
        name = matrix_of(node, tensors)
        if name and node.op_type == "MatMul":
            yield node, name


def nodes_of(template: str, names: dict[str, str]) -> list[onnx.NodeProto]:
    """The nodes of a graph in ONNX's text form.

    Args:
        template: without a header; holds names in braces.
        names: what stands there.
    """
    return list(parser.parse_graph(template.format(**names)).node)


def rebuilt(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], tensors: dict[str, NDArray[np.generic]]
) -> onnx.ModelProto:
    """A model with other nodes and constants, its inputs and outputs the same.

    Args:
        model: stays as it is.
        nodes: in the order in which they run.
        tensors: those that no node uses are left out.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:], result.graph.initializer[:]
    result.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    result.graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(array), name)
        for name, array in tensors.items()
        if name in used
    )
    onnx.checker.check_model(result)
    return result
