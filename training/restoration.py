"""Restoration: a checkpoint made of a published file, where its own has gone.

The weights are those of the int8 file, which is as near to what was learned as its integers are. A
version can so be exported with a graph that was written later, or be trained further.
"""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from tokenizers import Tokenizer
from torch import Tensor
from transformers import BertConfig, BertForTokenClassification

from training.casing import CasedVocabulary
from training.checkpoint import (
    TOKENIZER_FILE,
    CheckpointInvalid,
    TrainedOn,
    TrainingRecord,
    check_vacant,
    save,
)
from training.data import LABELS
from training.network import cased_embedding, with_casing
from training.smoothing import unsmoothed

_MANIFEST = "manifest.json"


def restore(version: Path, folder: Path) -> None:
    """Writes the checkpoint of a published version.

    Args:
        version: a folder that `training.publication` wrote.
        folder: gets the checkpoint; holds none yet.

    Raises:
        CheckpointInvalid: the folder is no such version, or the other one holds a checkpoint.
    """
    check_vacant(folder)
    try:
        manifest = json.loads((version / _MANIFEST).read_text("utf-8"))
        config = BertConfig.from_json_file(version / "config.json")
        tensors = float_tensors(onnx.load(version / "model.onnx"))
        network = _network(config, tensors)
        record = _record(manifest)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise CheckpointInvalid(f"{version}: no published version: {error}") from error
    save(folder, network, Tokenizer.from_file(str(version / TOKENIZER_FILE)), record)


def float_tensors(model: onnx.ModelProto) -> dict[str, NDArray[np.generic]]:
    """The constants of a file; those that were made int8 as float32, under their old names.

    Args:
        model: a file of `training.export` or `training.quantization`.
    """
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for name in [name for name in tensors if name.endswith("_int8")]:
        plain = name.removesuffix("_int8")
        tensors[plain] = tensors[name].astype(np.float32) * tensors[f"{plain}_scales"]
    return unsmoothed(tensors)


def _network(
    config: BertConfig, tensors: dict[str, NDArray[np.generic]]
) -> BertForTokenClassification:
    config.id2label = dict(enumerate(LABELS))
    config.label2id = {label: i for i, label in enumerate(LABELS)}
    rows = tensors["word_rows"].astype(np.int64)
    cases = tensors["word_cases"].astype(np.int64)
    config.vocab_size = len(tensors["word_vectors"])
    network = BertForTokenClassification(config)
    state = _embeddings(tensors)
    for i in range(config.num_hidden_layers):
        state |= _layer(tensors, i)
    network.load_state_dict({name: _tensor(array) for name, array in state.items()})
    vocabulary = CasedVocabulary(tuple([""] * len(rows)), rows, cases)
    with_casing(network, vocabulary)
    cased_embedding(network).take_cases(_tensor(tensors["case_vectors"]))
    network.train(mode=False)
    return network


def _embeddings(tensors: dict[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    prefix = "bert.embeddings"
    gain, positions = tensors["embedding_gain"], tensors["position_vectors"]
    return {
        f"{prefix}.word_embeddings.weight": tensors["word_vectors"],
        f"{prefix}.position_embeddings.weight": positions,
        # The export has added it to the positions.
        f"{prefix}.token_type_embeddings.weight": np.zeros((2, positions.shape[1]), np.float32),
        f"{prefix}.LayerNorm.weight": gain,
        f"{prefix}.LayerNorm.bias": np.zeros_like(gain),
        "classifier.weight": tensors["classifier_weight"].T,
        "classifier.bias": tensors["classifier_bias"],
    }


def _layer(tensors: dict[str, NDArray[np.generic]], i: int) -> dict[str, NDArray[np.generic]]:
    """A layer's weights; the shifts of its norms stand in the biases after them."""
    prefix = f"bert.encoder.layer.{i}"
    own, out = f"{prefix}.attention.self", f"{prefix}.attention.output"
    state = {
        f"{out}.dense.weight": tensors[f"projection_weight{i}"].T,
        f"{out}.dense.bias": tensors[f"projection_bias{i}"],
        f"{out}.LayerNorm.weight": tensors[f"middle_gain{i}"],
        f"{out}.LayerNorm.bias": np.zeros_like(tensors[f"middle_gain{i}"]),
        f"{prefix}.intermediate.dense.weight": tensors[f"wide_weight{i}"].T,
        f"{prefix}.intermediate.dense.bias": tensors[f"wide_bias{i}"],
        f"{prefix}.output.dense.weight": tensors[f"narrow_weight{i}"].T,
        f"{prefix}.output.dense.bias": tensors[f"narrow_bias{i}"],
        f"{prefix}.output.LayerNorm.weight": tensors[f"gain{i + 1}"],
        f"{prefix}.output.LayerNorm.bias": np.zeros_like(tensors[f"gain{i + 1}"]),
    }
    names = ("query", "key", "value")
    joined = tensors.get(f"attention_weight{i}")
    # Files of before 2026-11-24 hold the three by themselves.
    weights = (
        [tensors[f"{name}_weight{i}"] for name in names]
        if joined is None
        else np.split(joined, 3, axis=1)
    )
    biases = np.split(tensors[f"attention_bias{i}"], 3)
    for name, weight, bias in zip(names, weights, biases, strict=True):
        state |= {f"{own}.{name}.weight": weight.T, f"{own}.{name}.bias": bias}
    return state


def _record(manifest: dict[str, Any]) -> TrainingRecord:
    training, source = manifest["training"], manifest["source"]
    known = {field.name for field in fields(TrainingRecord)}
    return TrainingRecord(
        encoder=source["checkpoint"],
        encoder_licence=source["licence"],
        encoder_sha256=source["sha256"],
        data=tuple(TrainedOn(**entry) for entry in manifest["data"]),
        **{
            name: value
            for name, value in training.items()
            if name in known - {"teachers", "averaged", "restored_from"}
        },
        teachers=tuple(training.get("teachers", ())),
        averaged=tuple(training.get("averaged", ())),
        restored_from=f"{manifest['name']} {manifest['version']}",
    )


def _tensor(array: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.array(array))
