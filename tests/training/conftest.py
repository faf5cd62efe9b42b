"""A tiny model with random weights, made as the real one is."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertForTokenClassification, BertModel

from training.casing import CasedVocabulary, cased_tokenizer, cased_vocabulary
from training.checkpoint import TrainedOn, TrainingRecord, save
from training.data import LABELS
from training.data_folder import ENGLISH_SETS
from training.network import cased_embedding, with_casing

_PIECES = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] angela merkel met tim cook of apple in seoul . , ' "
    "mc ##donald ##s usa a b ß 2 - york new the ##er @ #"
)

SENTENCES = [
    ("Angela Merkel met Tim Cook .", [(0, 13, "PER"), (18, 26, "PER")]),
    ("Tim Cook of Apple in Seoul .", [(0, 8, "PER"), (12, 17, "ORG"), (21, 26, "LOC")]),
    ("the apple in New York", [(13, 21, "LOC")]),
    ("Apple met McDonald in Seoul", [(0, 5, "ORG"), (10, 18, "PER"), (22, 27, "LOC")]),
]


@pytest.fixture(autouse=True)
def no_tracking_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test tracks stays in its own folder."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def pieces() -> tuple[str, ...]:
    """The uncased vocabulary."""
    return tuple(_PIECES.split())


@pytest.fixture
def vocabulary(pieces: tuple[str, ...]) -> CasedVocabulary:
    return cased_vocabulary(pieces)


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
                max_position_embeddings=256,
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
def encoder(tokenizer: Tokenizer, pieces: tuple[str, ...], tmp_path: Path) -> Path:
    """An untrained encoder in the form of a published one."""
    folder = tmp_path / "encoder"
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=512,
    )
    torch.manual_seed(3)
    BertModel(config).save_pretrained(folder)
    content = json.loads(tokenizer.to_str())
    content["normalizer"]["lowercase"] = True
    content["model"]["vocab"] = {piece: i for i, piece in enumerate(pieces)}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Every set with the same few sentences; those of train end in a number."""
    folder = tmp_path / "data"
    label_map = {source.name: {"PER": "PER", "ORG": "ORG", "LOC": "LOC"} for source in ENGLISH_SETS}
    for source in ENGLISH_SETS:
        (folder / source.name).mkdir(parents=True)
        for split, endings in (("train", [" 2" * n for n in range(1, 9)]), ("dev", [""] * 25)):
            lines = [
                json.dumps(
                    {
                        "id": f"{split}-{i}",
                        "text": text + ending,
                        "spans": [{"start": s, "end": e, "label": k} for s, e, k in spans],
                    }
                )
                for i, ending in enumerate(endings)
                for text, spans in SENTENCES
            ]
            (folder / source.name / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "label_map.json").write_text(json.dumps({"to_conll4": label_map}))
    return folder


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
def teachers(
    network: BertForTokenClassification,
    tokenizer: Tokenizer,
    record: TrainingRecord,
    tmp_path: Path,
) -> list[str]:
    """Two checkpoints that disagree."""
    folders = []
    for i, factor in enumerate((1.0, -1.0)):
        with torch.no_grad():
            network.classifier.weight.mul_(factor)
        folder = tmp_path / f"teacher{i}"
        save(folder, network, tokenizer, replace(record, command=f"train teacher {i}"))
        folders.append(str(folder))
    return folders


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    return tmp_path / "run"
