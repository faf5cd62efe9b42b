"""A model small enough to read: its label scores depend on the token alone."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer as RustTokenizer
from tokenizers import models, normalizers, pre_tokenizers, processors

LABELS = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]
# What the model says of each word; every other token is O.
WORDS = {
    "angela": "B-PER",
    "merkel": "I-PER",
    "tim": "B-PER",
    "cook": "I-PER",
    "apple": "B-ORG",
    "seoul": "B-LOC",
    "paris": "B-LOC",
    "lost": "I-LOC",  # illegal at the start of an entity
}
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
_PLAIN = ["met", "in", "of", "the", "visited", ".", ",", "!", "?", "a", "b", "##b", "##a", "##s"]
VOCABULARY = [*_SPECIAL, *_PLAIN, *WORDS]
CONFIDENT = 6.0  # logit of the chosen label; the others are 0
WINDOW_TOKENS = 16


def rust_tokenizer() -> RustTokenizer:
    """A WordPiece tokenizer like BERT's, with a vocabulary of a few words."""
    ids = {piece: i for i, piece in enumerate(VOCABULARY)}
    tokenizer = RustTokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(_SPECIAL)
    return tokenizer


def score_table() -> np.ndarray:
    """Logits of each piece of the vocabulary, float32 [vocabulary, labels]."""
    table = np.zeros((len(VOCABULARY), len(LABELS)), dtype=np.float32)
    for i, piece in enumerate(VOCABULARY):
        table[i, LABELS.index(WORDS.get(piece, "O"))] = CONFIDENT
    return table


def write_onnx(path: Path, table: np.ndarray, mask_name: str = "attention_mask") -> None:
    """Writes a model that looks each token's logits up in a table."""
    shape = ["batch", "tokens"]
    ids, mask = (
        helper.make_tensor_value_info(name, TensorProto.INT64, shape)
        for name in ("input_ids", mask_name)
    )
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [*shape, table.shape[1]])
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], ["logits"], axis=0)],
        "table",
        [ids, mask],
        [logits],
        [numpy_helper.from_array(table, "table")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)


def write_version(folder: Path, labels: list[str] | None = None) -> Path:
    """Writes a version folder as an Optimum export would, without a manifest."""
    folder.mkdir(parents=True)
    rust_tokenizer().save(str(folder / "tokenizer.json"))
    id2label = dict(enumerate(labels or LABELS))
    config = {"id2label": id2label, "max_position_embeddings": 512, "model_type": "bert"}
    (folder / "config.json").write_text(json.dumps(config))
    write_onnx(folder / "model.onnx", score_table())
    return folder


def write_manifest(folder: Path) -> Path:
    """Writes the manifest of what stands in a version folder."""
    files = {
        path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in folder.iterdir()
    }
    path = folder / "manifest.json"
    path.write_text(json.dumps({"schema_version": 1, "files": files}))
    return path
