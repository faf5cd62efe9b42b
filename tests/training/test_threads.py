"""As many cores as --threads says, for PyTorch and for NumPy's products."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits
from tokenizers import Tokenizer
from transformers import BertForTokenClassification

from training.__main__ import main
from training.checkpoint import TrainingRecord, load_record, save
from training.data_folder import find_sets, read_corpus
from training.fine_tune import fine_tune
from training.recipe import Recipe
from training.run import Run


def of_products() -> set[int]:
    """The threads of each library that multiplies for NumPy."""
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def other_threads() -> Iterator[None]:
    """Other numbers than any test asks for, and after it those of before."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    with threadpool_limits(2, "blas"):
        yield
    torch.set_num_threads(before)


def test_a_command_keeps_to_its_threads(
    network: BertForTokenClassification,
    tokenizer: Tokenizer,
    record: TrainingRecord,
    data: Path,
    run_folder: Path,
) -> None:
    save(run_folder, network, tokenizer, record)
    place = ["--data", str(data), "--sets", "wnut17", "--run", str(run_folder)]
    assert main(["calibrate", *place, "--threads", "1"]) == 0
    assert torch.get_num_threads() == 1
    assert of_products() == {1}
    assert load_record(run_folder).temperature != 1.0


def test_learning_keeps_to_those_of_its_recipe(data: Path, encoder: Path, tmp_path: Path) -> None:
    """The sample's are fewer than its command's."""
    corpora = [read_corpus(data, source, "train") for source in find_sets(data, ["wnut17"])]
    recipe = Recipe(str(encoder), epochs=1, threads=1, device="cpu")
    fine_tune(recipe, corpora, [], Run(tmp_path / "run", "train", None, state_steps=0))
    assert torch.get_num_threads() == 1
    assert of_products() == {1}
