"""Checkpoints as folders."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import BertForTokenClassification

from training.checkpoint import (
    CheckpointInvalid,
    TrainingRecord,
    load_cased,
    load_plain,
    load_record,
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
