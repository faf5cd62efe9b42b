"""What a window of a long text holds, as a run that learns passages settles it."""

from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from training.casing import EncoderInvalid
from training.checkpoint import load_cased
from training.data import Corpus, Example, SourceSet, Span
from training.fine_tune import Recipe, Run, fine_tune
from training.network import Network, passage_tokens
from training.reading import serving_tokenizer
from training.recipe import RecipeInvalid

_SOURCE = SourceSet("tiny", "Tiny", "CC0-1.0")
_CORPUS = Corpus(_SOURCE, "0" * 64, [Example("1", "Tim met Cook", (Span(0, 3, "PER"),))])
_LONG = "Tim met Cook. " * 60  # of 4 tokens each


def learned(recipe: Recipe, folder: Path) -> Path:
    """A run's folder."""
    fine_tune(recipe, [_CORPUS], [], Run(folder, "", None))
    return folder


def test_a_model_passage_tokens_once_it_was_told_to(encoder: Path, tmp_path: Path) -> None:
    recipe = Recipe(str(encoder), epochs=1, threads=1, device="cpu")
    plain = learned(recipe, tmp_path / "plain")
    told = learned(replace(recipe, passage_tokens=64), tmp_path / "told")
    after = learned(replace(recipe, encoder="", begin_with=str(told)), tmp_path / "after")
    found = [load_cased(folder) for folder in (plain, told, after)]
    assert [passage_tokens(network) for network in found] == [0, 64, 64]


def test_passages_that_an_encoder_cannot_read_are_refused(encoder: Path, tmp_path: Path) -> None:
    recipe = Recipe(str(encoder), passage_tokens=9_999, threads=1, device="cpu")
    with pytest.raises(EncoderInvalid, match="--passage-tokens 9999: this encoder reads at most"):
        learned(recipe, tmp_path / "run")
    with pytest.raises(RecipeInvalid, match="--passage-tokens 7: must be at least 8, or 0"):
        Recipe(passage_tokens=7)


def test_passages_that_a_run_would_cut_are_refused(encoder: Path, tmp_path: Path) -> None:
    recipe = Recipe(str(encoder), epochs=1, most_tokens=48, threads=1, device="cpu")
    expected = "--most-tokens 48: the model is to read passages of 64 tokens"
    with pytest.raises(RecipeInvalid, match=expected):
        learned(replace(recipe, passage_tokens=64), tmp_path / "asked for")
    told = learned(replace(recipe, passage_tokens=48), tmp_path / "told")
    again = replace(recipe, encoder="", begin_with=str(told), most_tokens=32)
    with pytest.raises(RecipeInvalid, match=r"--most-tokens 32: .* passages of 48 tokens"):
        learned(again, tmp_path / "inherited")


@pytest.mark.parametrize(("tokens", "windows"), [(0, 60), (64, 4), (256, 1)])
def test_a_run_reads_long_texts_in_the_windows_that_its_model_says(
    network: Network, tokenizer: Tokenizer, tokens: int, windows: int
) -> None:
    network.config.passage_tokens = tokens
    assert len(serving_tokenizer(tokenizer, network).tokenize(_LONG).windows) == windows
