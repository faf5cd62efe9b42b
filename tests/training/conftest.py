"""A tiny model with random weights, made as the real one is."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertForTokenClassification

from training.casing import CasedVocabulary, cased_tokenizer, cased_vocabulary
from training.checkpoint import TrainedOn, TrainingRecord
from training.data import LABELS
from training.network import cased_embedding, with_casing

_PIECES = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] angela merkel met tim cook of apple in seoul . , ' "
    "mc ##donald ##s usa a b ß 2 - york new the ##er"
)


@pytest.fixture
def pieces() -> tuple[str, ...]:
    """The uncased vocabulary."""
    return tuple(_PIECES.split())


@pytest.fixture
def vocabulary(pieces: tuple[str, ...]) -> CasedVocabulary:
    return cased_vocabulary({piece: i for i, piece in enumerate(pieces)})


@pytest.fixture
def tokenizer(vocabulary: CasedVocabulary) -> Tokenizer:
    return cased_tokenizer(vocabulary)


@pytest.fixture
def network(vocabulary: CasedVocabulary, pieces: tuple[str, ...]) -> BertForTokenClassification:
    """Two layers, weights large enough that every part of the network moves the logits."""
    torch.manual_seed(7)
    network = with_casing(
        BertForTokenClassification(
            BertConfig(
                vocab_size=len(pieces),
                hidden_size=48,
                num_hidden_layers=2,
                num_attention_heads=4,
                intermediate_size=96,
                max_position_embeddings=64,
                id2label=dict(enumerate(LABELS)),
                label2id={label: i for i, label in enumerate(LABELS)},
            )
        ),
        vocabulary,
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0.0, 0.3)
        cased_embedding(network).case.normal_(0.0, 1.0)
    network.train(mode=False)
    return network


@pytest.fixture
def record() -> TrainingRecord:
    return TrainingRecord(
        encoder="someone/encoder",
        encoder_licence="Apache-2.0",
        encoder_sha256="0" * 64,
        data=(TrainedOn("uner_en_ewt", "CC-BY-SA-4.0", "1" * 64, 12_000),),
        seed=1,
        epochs=2,
        learning_rate=1e-4,
        batch_size=32,
        precision="float32",
        steps=10,
        duration_s=1.5,
        commit=None,
        command="python -m training fine-tune --data DIR",
    )


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    return tmp_path / "run"
