"""Teachers: trained networks whose mean another learns."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from training.__main__ import main
from training.checkpoint import CheckpointInvalid, load_record
from training.data import ENTITY_TYPES, Corpus, DataInvalid, Example, SourceSet
from training.data_folder import find_sets, read_corpus
from training.distillation import Teachers
from training.fine_tune import Recipe, Run, fine_tune
from training.run import TrainingInterrupted
from training.training_state import StateInvalid

IDS = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


def test_the_targets_are_the_mean_of_the_distributions(teachers: list[str]) -> None:
    both = Teachers.load(teachers, torch.device("cpu")).targets(IDS, MASK)
    single = [Teachers.load([t], torch.device("cpu")).targets(IDS, MASK) for t in teachers]
    assert torch.allclose(both, (single[0] + single[1]) / 2)
    assert not torch.allclose(single[0], single[1])
    assert torch.allclose(both.sum(-1), MASK.float())


def test_teachers_of_two_vocabularies_are_not_asked_together(
    teachers: list[str], tmp_path: Path
) -> None:
    other = other_vocabulary(Path(teachers[1]), tmp_path / "other")
    with pytest.raises(CheckpointInvalid, match=f"{other}: reads other tokens than {teachers[0]}"):
        Teachers.load([teachers[0], other], torch.device("cpu"))


def test_a_teacher_of_another_vocabulary_than_its_student_s_is_refused(
    encoder: Path, data: Path, teachers: list[str], tmp_path: Path
) -> None:
    corpora = [read_corpus(data, source, "train") for source in find_sets(data)]
    other = other_vocabulary(Path(teachers[0]), tmp_path / "other")
    recipe = Recipe(str(encoder), epochs=1, threads=1, device="cpu", teachers=(other,))
    with pytest.raises(CheckpointInvalid, match=f"{other}: read other tokens than this encoder"):
        fine_tune(recipe, corpora, [], Run(tmp_path / "run", "train", None, state_steps=0))


@pytest.mark.parametrize("option", ["--begin-with", "--teachers"])
def test_a_run_is_not_written_over_a_model_that_it_learns_from(
    data: Path, teachers: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (Path(teachers[0]) / "model.safetensors").read_bytes()
    words = ["fine-tune", "--data", str(data), "--run", teachers[0], option, teachers[0]]
    assert main([*words, "--no-tracking"]) == 1
    assert "name another folder with --run" in capsys.readouterr().err
    assert (Path(teachers[0]) / "model.safetensors").read_bytes() == before


def test_a_run_goes_on_only_with_the_teachers_it_was_begun_with(
    encoder: Path, data: Path, teachers: list[str], tmp_path: Path
) -> None:
    """Under the same name another may stand by then."""
    corpora = [read_corpus(data, source, "train") for source in find_sets(data)]
    recipe = Recipe(
        str(encoder), epochs=1, most_tokens=32, threads=1, device="cpu", teachers=(teachers[0],)
    )
    run = Run(tmp_path / "run", "train", None, state_steps=1, interrupted=lambda: True)
    with pytest.raises(TrainingInterrupted):
        fine_tune(recipe, corpora, [], run)
    (Path(teachers[1]) / "model.safetensors").replace(Path(teachers[0]) / "model.safetensors")
    with pytest.raises(StateInvalid, match="sha256 of the teachers' weights was"):
        fine_tune(recipe, corpora, [], replace(run, resume=True))


def other_vocabulary(folder: Path, into: Path) -> str:
    """The same checkpoint, whose tokenizer has two of its pieces the other way round."""
    shutil.copytree(folder, into)
    path = into / "tokenizer.json"
    content = json.loads(path.read_text())
    pieces = content["model"]["vocab"]
    pieces["apple"], pieces["seoul"] = pieces["seoul"], pieces["apple"]
    path.write_text(json.dumps(content))
    return str(into)


def test_teachers_multiply_in_bfloat16_when_they_are_told_to(teachers: list[str]) -> None:
    exact = Teachers.load(teachers, torch.device("cpu")).targets(IDS, MASK)
    near = Teachers.load(teachers, torch.device("cpu"), bfloat16=True).targets(IDS, MASK)
    assert near.dtype == torch.float32
    assert not torch.equal(near, exact)
    assert torch.allclose(near, exact, atol=0.05)


def test_a_pupil_comes_near_to_its_teacher(
    encoder: Path, data: Path, teachers: list[str], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """The teacher says otherwise than the annotation, so that no other lesson brings it there."""
    corpora = [read_corpus(data, source, "train") for source in find_sets(data)]
    assert_comes_near(corpora, encoder, teachers, tokenizer, tmp_path)


def test_bare_text_teaches_what_the_teacher_says_of_it(
    encoder: Path, data: Path, teachers: list[str], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    labelled = [read_corpus(data, source, "train") for source in find_sets(data)]
    assert_comes_near([bare(c) for c in labelled], encoder, teachers, tokenizer, tmp_path)


def test_bare_text_without_a_teacher_is_refused(encoder: Path, data: Path, tmp_path: Path) -> None:
    corpora = [bare(read_corpus(data, source, "train")) for source in find_sets(data)]
    run = Run(tmp_path / "run", "train", None, state_steps=0)
    with pytest.raises(DataInvalid, match=r"labels nothing.*add --teachers"):
        fine_tune(Recipe(encoder=str(encoder)), corpora, [], run)


def bare(corpus: Corpus) -> Corpus:
    """The texts of a corpus, as those of a set that labels nothing."""
    nothing = frozenset(ENTITY_TYPES)
    source = SourceSet("bare", "Bare", "CC0-1.0", nothing)
    texts = [Example(e.id, e.text, (), nothing) for e in corpus.examples]
    return replace(corpus, source=source, examples=texts)


def assert_comes_near(
    corpora: Sequence[Corpus],
    encoder: Path,
    teachers: list[str],
    tokenizer: Tokenizer,
    tmp_path: Path,
) -> None:
    ids = torch.tensor([tokenizer.encode("Tim Cook of Apple in Seoul .").ids])
    distances = []
    for share in (0.0, 1.0):
        recipe = Recipe(
            encoder=str(encoder),
            epochs=8,
            batch_size=8,
            learning_rate=3e-3,
            teachers=(teachers[0],),
            teachers_share=share,
            most_tokens=32,
            threads=1,
        )
        pupil = tmp_path / f"pupil{share}"
        fine_tune(recipe, corpora, [], Run(pupil, "train", None, state_steps=0))
        said = [
            Teachers.load([folder], torch.device("cpu")).targets(ids, torch.ones_like(ids))
            for folder in (str(pupil), teachers[0])
        ]
        distances.append(float((said[0] - said[1]).abs().mean()))
    assert distances[1] < 0.5 * distances[0]
    assert load_record(tmp_path / "pupil1.0").teachers == ("train teacher 0",)
