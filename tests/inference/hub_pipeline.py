"""The token-classification pipeline of transformers around a served model's ONNX file."""

import json
import warnings
from pathlib import Path
from typing import Any, cast

import torch
from tokenizers import Tokenizer as RustTokenizer
from tokenizers import decoders
from transformers import (
    BertConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    TokenClassificationPipeline,
)
from transformers.modeling_outputs import TokenClassifierOutput

from inference.runtime import Session


class _OnnxModel(PreTrainedModel):  # type: ignore[no-untyped-call]
    """A model whose forward pass is a run of onnxruntime."""

    config_class = BertConfig

    def __init__(self, config: BertConfig, session: Session) -> None:
        super().__init__(config)
        self._session = session
        self._anchor = torch.nn.Parameter(torch.zeros(1))  # tells transformers the device

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: torch.Tensor
    ) -> TokenClassifierOutput:
        logits = self._session.run(input_ids.numpy(), attention_mask.numpy())
        return TokenClassifierOutput(logits=cast("torch.FloatTensor", torch.from_numpy(logits)))


def hub_pipeline(folder: Path) -> TokenClassificationPipeline:
    """Makes the pipeline that a BERT checkpoint with the files of a version folder has."""
    config = json.loads((folder / "config.json").read_text())
    labels = {int(number): label for number, label in config["id2label"].items()}
    rust = RustTokenizer.from_file(str(folder / "tokenizer.json"))
    # What BertTokenizer sets, whatever its file says.
    rust.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=rust,
        unk_token="[UNK]",
        pad_token="[PAD]",
        model_max_length=config["max_position_embeddings"],
    )
    model = _OnnxModel(
        BertConfig(id2label=labels, label2id={label: i for i, label in labels.items()}),
        Session.load(folder / "model.onnx", 1, len(labels)),
    )
    # It does not know the class by name; everything that it calls is there.
    TokenClassificationPipeline.check_model_type = lambda *_: None  # type: ignore[method-assign]
    return TokenClassificationPipeline(  # type: ignore[no-untyped-call]
        model=model, tokenizer=tokenizer
    )


def answer(pipeline: TokenClassificationPipeline, text: str, **parameters: Any) -> list[Any]:
    """The pipeline's answer to one text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cast("list[Any]", pipeline(text, **parameters))
