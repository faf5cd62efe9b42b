"""MPNet: an encoder of another kind with BERT's pieces, which learns and teaches."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import (
    DistilBertConfig,
    DistilBertModel,
    MPNetConfig,
    MPNetForTokenClassification,
    MPNetModel,
)

from training.beginning import beginning_of
from training.casing import EncoderInvalid, uncased_pieces
from training.checkpoint import TrainingRecord, load_cased, load_plain, save
from training.distillation import Teachers
from training.export import ExportFailed, export
from training.network import check_length
from training.recipe import Recipe

_OWN = ["<s>", "<pad>", "</s>", "<unk>"]  # before BERT's pieces; "<mask>" comes after them
_SENTENCE = ["[CLS]", "tim", "cook", "of", "apple", "[UNK]", "[SEP]"]


@pytest.fixture
def pieces(pieces: tuple[str, ...]) -> tuple[str, ...]:
    """With an unused piece second, as in BERT: MPNet takes the token at 1 for padding."""
    return (pieces[0], "[unused0]", *pieces[1:])


@pytest.fixture
def mpnet(encoder: Path, pieces: tuple[str, ...], tmp_path: Path) -> Path:
    """An untrained MPNet in the form of a published one."""
    folder = tmp_path / "mpnet"
    names = [*_OWN, *pieces, "<mask>"]
    config = MPNetConfig(
        vocab_size=len(names),
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=514,
    )
    torch.manual_seed(5)
    MPNetModel(config).save_pretrained(folder)
    content = json.loads((encoder / "tokenizer.json").read_text("utf-8"))
    content["model"]["vocab"] = {name: i for i, name in enumerate(names)}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def recipe(mpnet: Path) -> Recipe:
    return Recipe(encoder=str(mpnet))


def test_its_pieces_are_berts_in_berts_order(mpnet: Path, pieces: tuple[str, ...]) -> None:
    rows = uncased_pieces((mpnet / "tokenizer.json").read_text("utf-8"))
    assert tuple(rows) == pieces
    assert [rows[piece] for piece in ("tim", "##er")] == [
        len(_OWN) + pieces.index(piece) for piece in ("tim", "##er")
    ]


def test_its_own_special_tokens_have_berts_names(mpnet: Path, pieces: tuple[str, ...]) -> None:
    rows = uncased_pieces((mpnet / "tokenizer.json").read_text("utf-8"))
    mask = len(_OWN) + len(pieces)
    assert [rows[f"[{name}]"] for name in ("CLS", "PAD", "SEP", "UNK", "MASK")] == [
        0, 1, 2, 3, mask,
    ]  # fmt: skip


def test_it_says_of_berts_ids_what_it_says_of_its_own(
    recipe: Recipe, mpnet: Path, pieces: tuple[str, ...]
) -> None:
    """Padding, whose place it counts in another way, changes nothing either."""
    network = beginning_of(recipe).network
    plain = MPNetForTokenClassification.from_pretrained(mpnet, num_labels=9)
    plain.classifier.load_state_dict(network.classifier.state_dict())
    rows = uncased_pieces((mpnet / "tokenizer.json").read_text("utf-8"))
    ids = torch.tensor([[pieces.index(piece) for piece in [*_SENTENCE, "[PAD]"]]])
    own = torch.tensor([[rows[piece] for piece in _SENTENCE]])
    with torch.inference_mode():
        found = network.train(mode=False)(input_ids=ids, attention_mask=(ids != 0).long()).logits
        expected = plain.train(mode=False)(input_ids=own).logits
    torch.testing.assert_close(found[:, :-1], expected)
    assert expected.std() > 0.01


def test_a_checkpoint_of_it_teaches(
    recipe: Recipe, tokenizer: Tokenizer, record: TrainingRecord, tmp_path: Path
) -> None:
    network = beginning_of(recipe).network
    network.train(mode=False)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("word_embeddings.case"):
                parameter.normal_(0.0, 1.0)
    save(tmp_path / "run", network, tokenizer, record)
    ids = torch.tensor([tokenizer.encode("Tim Cook of APPLE").ids])
    mask = torch.ones_like(ids)
    expected = network(input_ids=ids, attention_mask=mask).logits
    for load in (load_plain, load_cased):
        found = load(tmp_path / "run")(input_ids=ids, attention_mask=mask).logits
        torch.testing.assert_close(found, expected)
    targets = Teachers.load([str(tmp_path / "run")], torch.device("cpu")).targets(ids, mask)
    torch.testing.assert_close(targets, expected.softmax(-1))


def test_it_reads_texts_as_long_as_it_has_positions_for(recipe: Recipe) -> None:
    network = beginning_of(recipe).network
    check_length(network, 512)
    assert network(input_ids=torch.full((1, 512), 5)).logits.shape[1] == 512
    with pytest.raises(EncoderInvalid, match="--most-tokens 513: this encoder reads at most 512"):
        check_length(network, 513)


def test_it_is_not_exported(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match="a mpnet cannot be exported"):
        export(beginning_of(recipe).network, tmp_path / "float32.onnx")


def test_an_encoder_of_a_third_kind_is_refused(mpnet: Path, recipe: Recipe) -> None:
    config = DistilBertConfig(vocab_size=44, dim=48, n_layers=1, n_heads=4, hidden_dim=96)
    DistilBertModel(config).save_pretrained(mpnet)
    with pytest.raises(EncoderInvalid, match="a distilbert; only bert and mpnet"):
        beginning_of(recipe)
