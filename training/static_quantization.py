"""Static quantization: scales that are fixed beforehand from what was seen in calibration.

It is what onnxruntime offers for int8 without a maximum at run time, and here to compare with: the
model that ships has even channels first, and scales of tokens after gelu (`training.quantization`).
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

# onnxruntime's histograms need calibration runs of one shape.
CALIBRATION_TOKENS = 64
_PERCENTILE = 99.99


class Method(Enum):
    """How the range of an activation is taken from what was seen."""

    MIN_MAX = CalibrationMethod.MinMax
    PERCENTILE = CalibrationMethod.Percentile


class _Rows(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Token ids, one row a run."""

    def __init__(self, rows: Sequence[NDArray[np.int64]]) -> None:
        self._rest = iter(rows)

    def get_next(self) -> dict[str, NDArray[np.int64]] | None:
        row = next(self._rest, None)
        if row is None:
            return None
        return {"input_ids": row[None], "attention_mask": np.ones_like(row)[None]}


def calibration_rows(rows: Sequence[NDArray[np.int64]], most: int) -> list[NDArray[np.int64]]:
    """Rows of CALIBRATION_TOKENS each, filled with those given, one after the other.

    Args:
        rows: token ids int64 [tokens], special tokens included; at least CALIBRATION_TOKENS in all.
        most: rows to return.
    """
    ids = np.concatenate(rows)
    whole = len(ids) // CALIBRATION_TOKENS
    return list(ids[: whole * CALIBRATION_TOKENS].reshape(whole, CALIBRATION_TOKENS)[:most])


def quantize_statically(
    source: Path, target: Path, rows: Sequence[NDArray[np.int64]], method: Method
) -> None:
    """Writes the int8 form with static scales, the classifier float32.

    Args:
        source: a float32 file of `training.export`.
        target: the file to write.
        rows: of `calibration_rows`.
        method: how ranges are found.
    """
    with TemporaryDirectory() as folder:
        named = Path(folder) / "named.onnx"
        onnx.save(_named(onnx.load(source)), named)
        quantize_static(
            named,
            target,
            _Rows(rows),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=["scores"],
            calibrate_method=method.value,
            extra_options={"MatMulConstBOnly": True, "CalibPercentile": _PERCENTILE},
        )


def _named(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with a name for each node and a type for each operand of a product.

    The quantizer excludes nodes by name, and skips what it cannot infer: the outputs of
    onnxruntime's own operators, and all that follows them.
    """
    for node in model.graph.node:
        node.name = node.output[0]
    operands = dict.fromkeys(
        name for node in _products(model) for name in (node.input[0], node.output[0])
    )
    model.graph.value_info.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in operands
    )
    return model


def _products(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    return (node for node in model.graph.node if node.op_type == "MatMul")
