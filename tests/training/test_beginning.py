"""What a run begins with."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import BertForTokenClassification

from training.beginning import beginning_of
from training.checkpoint import WEIGHTS_FILE, CheckpointInvalid, TrainedOn, load_plain, load_record
from training.data import Corpus, Example, SourceSet, Span
from training.fine_tune import Recipe, Run, fine_tune
from training.optimization import new_optimizer


def corpus(name: str, licence: str = "CC0-1.0") -> Corpus:
    text = "Angela Merkel met Tim Cook"
    examples = [Example(str(i), text + " ." * i, (Span(0, 13, "PER"),)) for i in range(8)]
    return Corpus(SourceSet(name, name, licence), "0" * 64, examples)


def learn(recipe: Recipe, folder: Path, *corpora: Corpus) -> None:
    fine_tune(recipe, corpora, [corpora[0]], Run(folder, f"train {folder.name}", None))


@pytest.fixture
def recipe(encoder: Path) -> Recipe:
    return Recipe(str(encoder), epochs=1, batch_size=4, learning_rate=1e-3, threads=1, device="cpu")


def test_a_run_begins_with_the_weights_of_a_checkpoint(recipe: Recipe, tmp_path: Path) -> None:
    learn(recipe, tmp_path / "first", corpus("one"))
    standstill = replace(
        recipe, encoder="", begin_with=str(tmp_path / "first"), learning_rate=0.0, seed=1
    )
    learn(standstill, tmp_path / "second", corpus("one"))
    first, second = (load_plain(tmp_path / name).state_dict() for name in ("first", "second"))
    assert first.keys() == second.keys()
    for name, weight in first.items():
        assert torch.allclose(weight, second[name], atol=1e-6), name


def test_the_record_tells_of_both_runs_and_of_all_data(recipe: Recipe, tmp_path: Path) -> None:
    learn(recipe, tmp_path / "first", corpus("one"), corpus("old", "CC-BY-SA-4.0"))
    learn(
        replace(recipe, encoder="", begin_with=str(tmp_path / "first")),
        tmp_path / "second",
        corpus("one"),
        corpus("new"),
    )
    first, second = (load_record(tmp_path / name) for name in ("first", "second"))
    assert (first.begun_with, second.begun_with) == ("", "train first")
    weights = (tmp_path / "first" / WEIGHTS_FILE).read_bytes()
    assert first.begun_with_sha256 == ""
    assert second.begun_with_sha256 == hashlib.sha256(weights).hexdigest()
    assert (second.encoder, second.encoder_sha256) == (first.encoder, first.encoder_sha256)
    assert [(entry.set, entry.licence) for entry in second.data] == [
        ("one", "CC0-1.0"),
        ("new", "CC0-1.0"),
        ("old", "CC-BY-SA-4.0"),
    ]


def test_what_is_learned_again_counts_as_it_is_now(recipe: Recipe, tmp_path: Path) -> None:
    learn(recipe, tmp_path / "first", corpus("one"))
    beginning = beginning_of(replace(recipe, begin_with=str(tmp_path / "first")))
    now = TrainedOn("one", "CC0-1.0", "1" * 64, 3)
    assert beginning.learned((now,)) == (now,)


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        (None, "unknown"),
        ("no front matter", "unknown"),
        ("---\nlanguage: en\nlicense: apache-2.0\n---\n", "Apache-2.0"),
        ("---\nlicense: cc-by-4.0 \n---\n", "cc-by-4.0"),
    ],
)
def test_the_encoders_card_states_its_licence(
    recipe: Recipe, encoder: Path, card: str | None, licence: str
) -> None:
    if card is not None:
        (encoder / "README.md").write_text(card)
    beginning = beginning_of(recipe)
    assert (beginning.encoder, beginning.encoder_licence) == ("encoder", licence)


def test_the_packaged_encoder_has_a_name_and_a_licence(recipe: Recipe) -> None:
    beginning = beginning_of(replace(recipe, encoder=""))
    assert beginning.encoder == "sentence-transformers/all-MiniLM-L6-v2"
    assert beginning.encoder_licence == "Apache-2.0"


def test_a_folder_that_is_no_checkpoint_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid, match="no such file"):
        beginning_of(replace(recipe, begin_with=str(tmp_path)))


def test_head_and_case_learn_faster_only_where_they_are_new(
    recipe: Recipe, network: BertForTokenClassification
) -> None:
    fresh, trained = recipe, replace(recipe, begin_with="somewhere")
    rates = [
        {group["lr"] for group in new_optimizer(network, r).param_groups} for r in (fresh, trained)
    ]
    assert rates == [{1e-3, 5e-3}, {1e-3}]
