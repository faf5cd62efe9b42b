"""A model of three bad words: one makes it raise, one gives no numbers, one makes it hang."""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.tiny_model import VOCABULARY, score_table, write_version

RAISES, NO_NUMBERS, HANGS = "cook", "tim", "lost"
# Turns of a loop that does nothing: years.
_FOR_EVER = 1 << 50
_OUT_OF_BOUNDS = 1_000


def write_bad_version(folder: Path) -> Path:
    """Writes a version folder; every other word is what `tests.tiny_model` says it is."""
    write_version(folder)
    table = score_table()
    table[VOCABULARY.index(NO_NUMBERS)] = np.nan
    constants = {
        "table": table,
        "places": _of_word(RAISES, _OUT_OF_BOUNDS),
        "one_place": np.zeros(1, np.float32),
        "turns": _of_word(HANGS, _FOR_EVER),
        "go_on": np.array(True),
        "nothing": np.array(0, np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["scores"], axis=0),
        # Where a word's place is out of bounds, the second of these raises.
        helper.make_node("Gather", ["places", "input_ids"], ["places_of_words"], axis=0),
        helper.make_node("Gather", ["one_place", "places_of_words"], ["zeros"], axis=0),
        helper.make_node("ReduceMax", ["zeros"], ["zero"], keepdims=0),
        helper.make_node("Gather", ["turns", "input_ids"], ["turns_of_words"], axis=0),
        helper.make_node("ReduceMax", ["turns_of_words"], ["most_turns"], keepdims=0),
        helper.make_node("Loop", ["most_turns", "go_on", "nothing"], ["looped"], body=_body()),
        helper.make_node("Add", ["scores", "zero"], ["raised"]),
        helper.make_node("Add", ["raised", "looped"], ["logits"]),
    ]
    ids, mask = (
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    )
    logits = helper.make_tensor_value_info(
        "logits", TensorProto.FLOAT, ["batch", "tokens", table.shape[1]]
    )
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "bad", [ids, mask], [logits], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    onnx.save(model, folder / "model.onnx")
    return folder


def _body() -> onnx.GraphProto:
    """Hands on what it gets."""
    values = [
        helper.make_tensor_value_info(name, kind, [])
        for name, kind in (
            ("turn", TensorProto.INT64),
            ("go_on_in", TensorProto.BOOL),
            ("value_in", TensorProto.FLOAT),
            ("go_on_out", TensorProto.BOOL),
            ("value_out", TensorProto.FLOAT),
        )
    ]
    nodes = [
        helper.make_node("Identity", ["go_on_in"], ["go_on_out"]),
        helper.make_node("Identity", ["value_in"], ["value_out"]),
    ]
    return helper.make_graph(nodes, "body", values[:3], values[3:])


def _of_word(word: str, value: int) -> NDArray[np.int64]:
    """This value for the word, 0 for every other: int64 [vocabulary]."""
    values = np.zeros(len(VOCABULARY), np.int64)
    values[VOCABULARY.index(word)] = value
    return values
