"""The plain way to int8, to compare with: traced by PyTorch, made int8 by onnxruntime.

It is what a user gets who exports a checkpoint with the usual tools and their defaults.
"""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from training.network import Network
from training.quiet_quantizer import quiet_quantizer

_OPSET = 18
_AXES = {0: "batch", 1: "tokens"}


def export_plainly(network: Network, target: Path) -> None:
    """Writes a checkpoint as int8 ONNX with one scale for all activations of a tensor.

    Args:
        network: of `training.checkpoint.load_plain`.
        target: the file to write.
    """
    names = ["input_ids", "attention_mask"]
    ids = torch.ones((2, 8), dtype=torch.int64)
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        # The tracer warns of each Python branch on a shape, of which none matters here.
        warnings.simplefilter("ignore")
        traced = Path(folder) / "traced.onnx"
        torch.onnx.export(
            network,
            (ids, torch.ones_like(ids)),
            str(traced),
            input_names=names,
            output_names=["logits"],
            dynamic_axes=dict.fromkeys([*names, "logits"], _AXES),
            opset_version=_OPSET,
            dynamo=False,
        )
        with quiet_quantizer():
            quantize_dynamic(traced, target, per_channel=True, weight_type=QuantType.QInt8)
