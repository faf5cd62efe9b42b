"""Tiny random models of the architectures that people export, as `transformers` writes them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoModelForTokenClassification, PreTrainedTokenizerFast

CORPUS = [
    "Angela Merkel met Tim Cook of Apple in Seoul .",
    "The conference in Reykjavík lasted four days , said Björn Ulvaeus .",
    "Ada Lovelace and Charles Babbage wrote to the Royal Society about engines .",
    "東京 and 서울 are cities , Łódź is another one .",
]
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_ROBERTA_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 37,
    "max_position_embeddings": 64,
}


@dataclass(frozen=True, slots=True)
class Architecture:
    """One kind of model: its configuration, its tokenizer, the inputs of its export."""

    config: Any  # a class of configurations
    tokenizer: str  # wordpiece, bytes or pieces
    inputs: tuple[str, ...] = ("input_ids", "attention_mask")
    settings: tuple[tuple[str, Any], ...] = ()


_TYPED = ("input_ids", "attention_mask", "token_type_ids")
ARCHITECTURES = {
    "bert": Architecture(transformers.BertConfig, "wordpiece", _TYPED),
    "bert without types": Architecture(transformers.BertConfig, "wordpiece"),
    "distilbert": Architecture(
        transformers.DistilBertConfig,
        "wordpiece",
        settings=(("dim", 32), ("n_layers", 2), ("n_heads", 2), ("hidden_dim", 37)),
    ),
    "roberta": Architecture(
        transformers.RobertaConfig, "bytes", settings=(("type_vocab_size", 1),)
    ),
    "xlm-roberta": Architecture(
        transformers.XLMRobertaConfig, "bytes", settings=(("type_vocab_size", 1),)
    ),
    "deberta": Architecture(
        transformers.DebertaConfig,
        "bytes",
        settings=(("relative_attention", True), ("pos_att_type", ["c2p", "p2c"])),
    ),
    "deberta-v2": Architecture(
        transformers.DebertaV2Config,
        "pieces",
        settings=(
            ("relative_attention", True),
            ("pos_att_type", ["c2p", "p2c"]),
            ("position_buckets", 16),
            ("type_vocab_size", 0),
        ),
    ),
    "electra": Architecture(
        transformers.ElectraConfig, "wordpiece", _TYPED, (("embedding_size", 16),)
    ),
}


def export(folder: Path, name: str, labels: Sequence[str]) -> transformers.Pipeline:
    """Writes a version folder with a random model, and opens the pipeline on the same weights.

    Args:
        folder: made.
        name: of the architecture.
        labels: of the model.
    """
    architecture = ARCHITECTURES[name]
    folder.mkdir(parents=True)
    tokenizer = _tokenizer(architecture.tokenizer)
    torch.manual_seed(7)
    config = architecture.config(
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        **(_SIZES | dict(architecture.settings)),
    )
    make: Any = AutoModelForTokenClassification  # its methods carry no types
    model = make.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():  # far from ties, so that no rounding decides a label
        for parameter in model.parameters():
            parameter.mul_(3.0)
    tokenizer.save_pretrained(folder)
    config.save_pretrained(folder)
    _export(model, architecture.inputs, folder / "model.onnx")
    return transformers.pipeline("token-classification", model=model, tokenizer=tokenizer)


class _Named(torch.nn.Module):
    """A model whose inputs come in the order of these names."""

    def __init__(self, model: torch.nn.Module, inputs: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.inputs = tuple(inputs)

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        """Logits, float32 [batch, tokens, labels]."""
        logits: torch.Tensor = self.model(**dict(zip(self.inputs, values, strict=True))).logits
        return logits


def _export(model: torch.nn.Module, inputs: Sequence[str], path: Path) -> None:
    ids = torch.full((2, 9), 7, dtype=torch.int64)
    values = (ids, torch.ones_like(ids), torch.zeros_like(ids))[: len(inputs)]
    axes = {name: {0: "batch", 1: "tokens"} for name in (*inputs, "logits")}
    torch.onnx.export(
        _Named(model, inputs).eval(),
        values,
        str(path),
        input_names=list(inputs),
        output_names=["logits"],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )


def _tokenizer(kind: str) -> Any:
    """A tokenizer of this kind, trained on the corpus."""
    trained = {"wordpiece": _wordpiece, "bytes": _bytes, "pieces": _pieces}[kind]()
    special = _ROBERTA_SPECIAL if kind == "bytes" else _SPECIAL
    by_role = dict(zip(("cls", "pad", "sep", "unk", "mask"), _ROBERTA_SPECIAL, strict=True))
    if kind != "bytes":
        by_role = dict(zip(("pad", "unk", "cls", "sep", "mask"), special, strict=True))
    fast: Any = PreTrainedTokenizerFast  # its constructor carries no types
    return fast(
        tokenizer_object=trained, **{f"{role}_token": token for role, token in by_role.items()}
    )


def _wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=_SPECIAL)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return _framed(tokenizer, "[CLS]", "[SEP]")


def _bytes() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=_ROBERTA_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    ends = {name: n for n, name in enumerate(_ROBERTA_SPECIAL)}
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", ends["</s>"]), ("<s>", ends["<s>"]), trim_offsets=True
    )
    return tokenizer


def _pieces() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=_SPECIAL, unk_token="[UNK]")
    tokenizer.train_from_iterator(CORPUS, trainer)
    return _framed(tokenizer, "[CLS]", "[SEP]")


def _framed(tokenizer: Tokenizer, first: str, last: str) -> Tokenizer:
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (first, last)],
    )
    return tokenizer


def rewrite_config(folder: Path, **parts: object) -> None:
    """Changes fields of a folder's configuration; None takes one out."""
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8")) | parts
    path.write_text(json.dumps({name: v for name, v in config.items() if v is not None}))
