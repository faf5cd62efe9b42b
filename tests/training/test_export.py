"""The exported file against the network it is made of."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from transformers import BertForTokenClassification

from inference.runtime import Session
from training.data import LABELS
from training.export import LOGIT_TOLERANCE, ExportFailed, check_parity, export, onnx_model
from training.network import TorchScorer
from training.recognition import pad

ROWS = [np.array([2, 5, 40, 6, 3]), np.array([2, *range(5, 45), 3]), np.array([2, 3])]


class Shifted:
    """A scorer whose logits are off by a little."""

    def __init__(self, scorer: TorchScorer, shift: float) -> None:
        self._scorer = scorer
        self._shift = shift

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._scorer.run(ids, mask) + np.float32(self._shift)


def test_the_file_computes_what_the_network_does(
    network: BertForTokenClassification, tmp_path: Path
) -> None:
    """Three rows of other lengths: the padding must not count."""
    export(network, tmp_path / "model.onnx")
    session = Session.load(tmp_path / "model.onnx", 1, len(LABELS))
    parity = check_parity(network, session, ROWS)
    assert parity.largest_difference < LOGIT_TOLERANCE
    assert parity.tokens == sum(map(len, ROWS))


def test_padding_is_left_out_of_all_but_the_attention(
    network: BertForTokenClassification, tmp_path: Path
) -> None:
    """However wide the batch is, the widest products see the real tokens alone."""
    model = onnx_model(network)
    model.graph.output.append(onnx.helper.make_tensor_value_info("active1", 1, None))
    onnx.save(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    ids, mask = pad(ROWS)
    active = session.run(["active1"], {"input_ids": ids, "attention_mask": mask})[0]
    assert active.shape == (mask.sum(), network.config.intermediate_size)


def test_every_weight_matters_to_the_file(network: BertForTokenClassification) -> None:
    """A weight that the graph leaves out, or takes from another layer, would pass unseen."""
    tensors = {tensor.name for tensor in onnx_model(network).graph.initializer}
    used = {name for node in onnx_model(network).graph.node for name in node.input}
    assert tensors <= used


def test_a_file_that_computes_something_else_is_refused(
    network: BertForTokenClassification,
) -> None:
    with pytest.raises(ExportFailed, match=r"logits differ by up to 1\.0e-03, allowed 1e-04"):
        check_parity(network, Shifted(TorchScorer(network), 1e-3), ROWS)


def test_logits_that_are_not_numbers_are_refused(network: BertForTokenClassification) -> None:
    with pytest.raises(ExportFailed, match="differ by up to nan"):
        check_parity(network, Shifted(TorchScorer(network), float("nan")), ROWS)


def test_an_activation_that_the_graph_does_not_know_is_refused(
    network: BertForTokenClassification,
) -> None:
    network.config.hidden_act = "relu"
    with pytest.raises(ExportFailed, match="'relu': only gelu"):
        onnx_model(network)


def test_the_file_takes_no_token_types(network: BertForTokenClassification) -> None:
    """Their vector is folded into the positions', so that services send two inputs, not three."""
    assert [value.name for value in onnx_model(network).graph.input] == [
        "input_ids",
        "attention_mask",
    ]
