"""Checkpoints as folders."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, normalizers
from transformers import BertForTokenClassification

from training.casing import CasedVocabulary, cased_tokenizer
from training.checkpoint import (
    CheckpointInvalid,
    TrainingRecord,
    adjust_classifier,
    load_cased,
    load_plain,
    load_record,
    load_tokenizer,
    save,
)
from training.network import cased_embedding

IDS = torch.tensor([[2, 5, 6, 31, 33, 3]])


def test_any_reader_of_hugging_face_folders_gets_the_same_logits(
    network: BertForTokenClassification,
    tokenizer: Tokenizer,
    record: TrainingRecord,
    run_folder: Path,
) -> None:
    with torch.inference_mode():
        before = network(input_ids=IDS).logits
        save(run_folder, network, tokenizer, record)
        torch.testing.assert_close(load_plain(run_folder)(input_ids=IDS).logits, before)
        torch.testing.assert_close(load_cased(run_folder)(input_ids=IDS).logits, before)
    config = json.loads((run_folder / "config.json").read_text())
    assert config["id2label"]["1"] == "B-PER"
    assert config["vocab_size"] == tokenizer.get_vocab_size()


def test_lower_case_vectors_are_the_pieces_themselves(
    network: BertForTokenClassification,
    tokenizer: Tokenizer,
    record: TrainingRecord,
    run_folder: Path,
) -> None:
    save(run_folder, network, tokenizer, record)
    embedding = cased_embedding(load_cased(run_folder))
    assert embedding.case[0].abs().max() == 0
    assert embedding.case[1].abs().max() > 0


def test_the_record_comes_back_as_it_was(
    network: BertForTokenClassification,
    tokenizer: Tokenizer,
    record: TrainingRecord,
    run_folder: Path,
) -> None:
    save(run_folder, network, tokenizer, record)
    assert load_record(run_folder) == record


def test_a_missing_checkpoint_is_named_with_the_command_that_writes_it(tmp_path: Path) -> None:
    for load in (load_plain, load_cased, load_record):
        with pytest.raises(CheckpointInvalid, match="no such file; `python -m training fine-tune`"):
            load(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "casing.safetensors", "training.json"])
def test_half_a_file_is_named(
    name: str,
    network: BertForTokenClassification,
    tokenizer: Tokenizer,
    record: TrainingRecord,
    run_folder: Path,
) -> None:
    save(run_folder, network, tokenizer, record)
    content = (run_folder / name).read_bytes()
    (run_folder / name).write_bytes(content[: len(content) // 2])
    load = load_record if name == "training.json" else load_cased
    with pytest.raises(CheckpointInvalid, match=f"{name}: no "):
        load(run_folder)


def test_what_cannot_be_written_leaves_the_checkpoint_as_it_was(
    network: BertForTokenClassification,
    tokenizer: Tokenizer,
    record: TrainingRecord,
    run_folder: Path,
) -> None:
    """As where the disk is full, or somebody presses Ctrl-C."""
    save(run_folder, network, tokenizer, record)
    before = {path.name: path.read_bytes() for path in run_folder.iterdir()}
    no_json = replace(record, command=b"")  # type: ignore[arg-type]  # fails after the weights
    with pytest.raises(TypeError):
        adjust_classifier(run_folder, np.ones(9, np.float32), 2.0, no_json)
    with pytest.raises(TypeError):
        save(run_folder, network, tokenizer, no_json)
    assert {path.name: path.read_bytes() for path in run_folder.iterdir()} == before


def test_a_checkpoint_of_before_thinks_of_signs_apart_what_it_thought_of_signs(
    network: BertForTokenClassification,
    vocabulary: CasedVocabulary,
    tokenizer: Tokenizer,
    record: TrainingRecord,
    run_folder: Path,
) -> None:
    save(run_folder, network, tokenizer, record)
    forget_signs_apart(run_folder, vocabulary)
    old = Tokenizer.from_file(str(run_folder / "tokenizer.json"))
    text = "Tim Cook @ Apple # 1"
    assert load_tokenizer(run_folder).to_str() == tokenizer.to_str()
    ids, old_ids = (torch.tensor([t.encode(text).ids]) for t in (tokenizer, old))
    assert not torch.equal(ids, old_ids)
    with torch.inference_mode():
        upgraded, plain = load_cased(run_folder), load_plain(run_folder)
        torch.testing.assert_close(upgraded(input_ids=ids).logits, plain(input_ids=old_ids).logits)
        save(run_folder, upgraded, load_tokenizer(run_folder), record)
        torch.testing.assert_close(
            load_plain(run_folder)(input_ids=ids).logits, plain(input_ids=old_ids).logits
        )


def forget_signs_apart(folder: Path, vocabulary: CasedVocabulary) -> None:
    """Makes a checkpoint what it would have been before signs that stand apart were told."""
    before = CasedVocabulary(vocabulary.tokens[:-2], vocabulary.rows[:-2], vocabulary.cases[:-2])
    tokenizer = cased_tokenizer(before)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    casing = load_file(folder / "casing.safetensors")
    parts = {"rows": casing["rows"][:-2], "cases": casing["cases"][:-2]}
    save_file(parts | {"vectors": casing["vectors"][:3].clone()}, folder / "casing.safetensors")
    weights = load_file(folder / "model.safetensors")
    name = "bert.embeddings.word_embeddings.weight"
    weights[name] = weights[name][:-2].clone()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["vocab_size"] -= 2
    (folder / "config.json").write_text(json.dumps(config))
