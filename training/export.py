"""Export: a checkpoint as a float32 ONNX file of onnxruntime's fused BERT operators.

The graph is written down here rather than traced. A traced graph gets its fused attention from
pattern matching, which silently finds nothing when a mask or a reshape is spelled another way.
What is written is compared with what the checkpoint computes.

Padding costs almost nothing: all but the attention itself works on the rows of the real tokens of a
batch, float32 [rows, hidden], one after the other. Only what attends is laid out as a padded batch.
Source: Zhai et al., ByteTransformer (2023), which leaves padding out of a batch the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, parser
from transformers import BertForTokenClassification

from training.network import Network, TorchScorer, cased_embedding
from training.recognition import Scorer, pad

OPSET = 18
# Rounding: float32 holds 7 digits, logits stay below 20, and the sums run in another order.
LOGIT_TOLERANCE = 1e-4
_PARTS = 3  # of a joined row: query, key, value

# `places` are the places of the real tokens in the padded batch, int64 [rows]; `rows` is the way
# back, int64 [batch, tokens]. A place of padding gets the row before it, which is never read: the
# attention masks it as a key, and no one asks what it attends to.
_MODEL = """<ir_version: 10, opset_import: ["": {opset}, "com.microsoft": 1]>
token_classifier (int64[batch, tokens] input_ids, int64[batch, tokens] attention_mask)
    => (float[batch, tokens, {labels}] logits)
{{
    flat_mask = Reshape(attention_mask, one_axis)
    real_places = NonZero(flat_mask)
    places = Reshape(real_places, one_axis)
    counted = CumSum(flat_mask, zero)
    counted_before = Sub(counted, one_int)
    flat_rows = Max(counted_before, zero)
    shape = Shape(input_ids)
    rows = Reshape(flat_rows, shape)
    visible = Cast<to = 6>(attention_mask)
    flat_ids = Reshape(input_ids, one_axis)
    ids = Gather(flat_ids, places)
    length = Shape<start = 1, end = 2>(input_ids)
    position = Mod(places, length)
    word_row = Gather(word_rows, ids)
    word_case = Gather(word_cases, ids)
    words = Gather(word_vectors, word_row)
    spelling = Gather(case_vectors, word_case)
    spelled = Add(words, spelling)
    positions = Gather(position_vectors, position)
    query_places = Mul(rows, parts)
    row_heads = Mul(rows, heads_of_parts)
    heads_before = Unsqueeze(row_heads, head_axis)
    key_places = Add(heads_before, key_heads)
    value_places = Add(heads_before, value_heads)
    embedded = Add(spelled, positions)
    {embedding_norm}
    {layers}
    scores = MatMul(x{n_layers}, classifier_weight)
    row_logits = Add(scores, classifier_bias)
    logits = Gather(row_logits, rows)
}}
"""
_LAYER = """
    attention_rows{i} = MatMul(x{i}, attention_weight{i})
    joined_rows{i} = Add(attention_rows{i}, attention_bias{i})
    joined_parts{i} = Reshape(joined_rows{i}, row_shape)
    joined_heads{i} = Reshape(joined_rows{i}, head_shape)
    query{i} = Gather(joined_parts{i}, query_places)
    key{i} = Gather(joined_heads{i}, key_places)
    value{i} = Gather(joined_heads{i}, value_places)
    padded_attended{i} = com.microsoft.MultiHeadAttention<num_heads = {heads}>
        (query{i}, key{i}, value{i}, , visible)
    flat_attended{i} = Reshape(padded_attended{i}, row_shape)
    attended{i} = Gather(flat_attended{i}, places)
    projection_rows{i} = MatMul(attended{i}, projection_weight{i})
    projected{i} = Add(projection_rows{i}, projection_bias{i})
    attended_sum{i} = Add(projected{i}, x{i})
    {middle_norm}
    wide_rows{i} = MatMul(middle{i}, wide_weight{i})
    wide{i} = Add(wide_rows{i}, wide_bias{i})
    active{i} = com.microsoft.Gelu(wide{i})
    narrow_rows{i} = MatMul(active{i}, narrow_weight{i})
    narrow{i} = Add(narrow_rows{i}, narrow_bias{i})
    output_sum{i} = Add(narrow{i}, middle{i})
    {output_norm}
"""
# Layer normalization in elementwise steps, a quarter of the time of onnxruntime's own operator,
# which sums a row one number after the other. The shift is not added: see `_layer_tensors`. A
# square is written as a product, because the pattern with Pow is fused back into that operator.
_NORM = """
    {y}_mean = ReduceMean<keepdims = 1>({x}, last_axis)
    {y}_centred = Sub({x}, {y}_mean)
    {y}_squares = Mul({y}_centred, {y}_centred)
    {y}_variance = ReduceMean<keepdims = 1>({y}_squares, last_axis)
    {y}_padded = Add({y}_variance, epsilon)
    {y}_deviation = Sqrt({y}_padded)
    {y}_normal = Div({y}_centred, {y}_deviation)
    {y} = Mul({y}_normal, {gain})
"""


class ExportFailed(Exception):
    """The checkpoint cannot be exported, or the file does not compute what it does."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far the logits of a file are from those of its checkpoint."""

    largest_difference: float
    tokens: int


def onnx_model(network: Network) -> onnx.ModelProto:
    """Writes a network down as an ONNX graph.

    Args:
        network: made by `with_casing`.

    Returns:
        A model with inputs `input_ids` and `attention_mask`, int64 [batch, tokens], at least one
        real token among them, and the output `logits`, float32 [batch, tokens, labels]; those of
        padding have no meaning.

    Raises:
        ExportFailed: the network is no BERT, or uses an activation other than gelu.
    """
    config = network.config
    if not isinstance(network, BertForTokenClassification):
        raise ExportFailed(f"a {config.model_type} cannot be exported: let it teach a bert")
    if config.hidden_act != "gelu":
        raise ExportFailed(f"activation {config.hidden_act!r}: only gelu can be exported")
    n_layers = config.num_hidden_layers
    layers = "".join(_layer(i, config.num_attention_heads) for i in range(n_layers))
    model = parser.parse_model(
        _MODEL.format(
            opset=OPSET,
            labels=config.num_labels,
            embedding_norm=_norm("embedded", "x0", "embedding_gain"),
            layers=layers,
            n_layers=n_layers,
        )
    )
    tensors = _embedding_tensors(network)
    for i in range(n_layers):
        tensors |= _layer_tensors(network, i)
    model.graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(array), name)
        for name, array in tensors.items()
    )
    onnx.checker.check_model(model)
    return model


def _layer(i: int, heads: int) -> str:
    return _LAYER.format(
        i=i,
        heads=heads,
        middle_norm=_norm(f"attended_sum{i}", f"middle{i}", f"middle_gain{i}"),
        output_norm=_norm(f"output_sum{i}", f"x{i + 1}", f"gain{i + 1}"),
    )


def _norm(x: str, y: str, gain: str) -> str:
    return _NORM.format(x=x, y=y, gain=gain)


def check_parity(network: Network, scorer: Scorer, rows: Sequence[NDArray[np.int64]]) -> Parity:
    """Compares a file with its checkpoint on one padded batch.

    Args:
        network: the checkpoint as Hugging Face loads it.
        scorer: the exported file.
        rows: token ids, int64 [tokens] each.

    Raises:
        ExportFailed: a logit differs by more than LOGIT_TOLERANCE.
    """
    ids, mask = pad(rows)
    differences = np.abs(TorchScorer(network).run(ids, mask) - scorer.run(ids, mask))
    parity = Parity(float(differences[mask == 1].max()), int(mask.sum()))
    if not parity.largest_difference <= LOGIT_TOLERANCE:
        raise ExportFailed(
            f"logits differ by up to {parity.largest_difference:.1e}, allowed {LOGIT_TOLERANCE:.0e}"
        )
    return parity


def export(network: Network, path: Path) -> None:
    """Writes a network as a float32 ONNX file.

    Args:
        network: made by `with_casing`.
        path: the file; its folder is made if it is missing.

    Raises:
        ExportFailed: the network is no BERT, or uses an activation other than gelu.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(onnx_model(network), path)


def _embedding_tensors(network: Network) -> dict[str, NDArray[np.generic]]:
    weights = _weights(network)
    prefix = "bert.embeddings"
    embedding = cased_embedding(network)
    classifier = weights["classifier.weight"].T
    last_shift = _output_shift(weights, network.config.num_hidden_layers)
    hidden, heads = network.config.hidden_size, network.config.num_attention_heads
    head_numbers = np.arange(heads, dtype=np.int64)[None, :, None]
    return {
        "zero": np.array(0, dtype=np.int64),
        "one_int": np.array(1, dtype=np.int64),
        "one_axis": np.array([-1], dtype=np.int64),
        "head_axis": np.array([1], dtype=np.int64),
        "row_shape": np.array([-1, hidden], dtype=np.int64),
        "head_shape": np.array([-1, hidden // heads], dtype=np.int64),
        "parts": np.array(_PARTS, dtype=np.int64),
        "heads_of_parts": np.array(_PARTS * heads, dtype=np.int64),
        "key_heads": heads + head_numbers,
        "value_heads": 2 * heads + head_numbers,
        "last_axis": np.array([-1], dtype=np.int64),
        "epsilon": np.array(network.config.layer_norm_eps, dtype=np.float32),
        "word_rows": embedding.rows.numpy().astype(np.int32),
        "word_cases": embedding.cases.numpy().astype(np.int32),
        "word_vectors": embedding.uncased.detach().numpy(),
        "case_vectors": embedding.case.detach().numpy(),
        # Every token is of type 0, so that its vector is part of each position's.
        "position_vectors": weights[f"{prefix}.position_embeddings.weight"]
        + weights[f"{prefix}.token_type_embeddings.weight"][0],
        "embedding_gain": weights[f"{prefix}.LayerNorm.weight"],
        "classifier_weight": classifier,
        "classifier_bias": weights["classifier.bias"] + last_shift @ classifier,
    }


def _layer_tensors(network: Network, i: int) -> dict[str, NDArray[np.generic]]:
    """The constants of a layer.

    The shifts of the layer normalizations are constant vectors: what reads a normalized row, a
    product or the sum around it, has the shift in its own bias.
    """
    weights = _weights(network)
    prefix = f"bert.encoder.layer.{i}"
    own, out = f"{prefix}.attention.self", f"{prefix}.attention.output"
    input_shift, middle_shift = _output_shift(weights, i), weights[f"{out}.LayerNorm.bias"]
    attention = [weights[f"{own}.{part}.weight"].T for part in ("query", "key", "value")]
    biases = [weights[f"{own}.{part}.bias"] for part in ("query", "key", "value")]
    wide = weights[f"{prefix}.intermediate.dense.weight"].T
    return {
        f"attention_weight{i}": np.hstack(attention),
        f"attention_bias{i}": np.concatenate(biases) + input_shift @ np.hstack(attention),
        f"projection_weight{i}": weights[f"{out}.dense.weight"].T,
        f"projection_bias{i}": weights[f"{out}.dense.bias"] + input_shift,
        f"middle_gain{i}": weights[f"{out}.LayerNorm.weight"],
        f"wide_weight{i}": wide,
        f"wide_bias{i}": weights[f"{prefix}.intermediate.dense.bias"] + middle_shift @ wide,
        f"narrow_weight{i}": weights[f"{prefix}.output.dense.weight"].T,
        f"narrow_bias{i}": weights[f"{prefix}.output.dense.bias"] + middle_shift,
        f"gain{i + 1}": weights[f"{prefix}.output.LayerNorm.weight"],
    }


def _output_shift(weights: Mapping[str, NDArray[np.float32]], i: int) -> NDArray[np.float32]:
    """The shift of the normalization before layer i, float32 [hidden]."""
    name = f"bert.encoder.layer.{i - 1}.output" if i else "bert.embeddings"
    return weights[f"{name}.LayerNorm.bias"]


def _weights(network: Network) -> dict[str, NDArray[np.float32]]:
    return {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}
