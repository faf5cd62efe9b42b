"""Teachers: trained networks whose mean another learns."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from training.checkpoint import load_record
from training.data import (
    ENTITY_TYPES,
    Corpus,
    DataInvalid,
    Example,
    SourceSet,
    find_sets,
    read_corpus,
)
from training.distillation import Teachers
from training.fine_tune import Recipe, Run, fine_tune

IDS = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


def test_the_targets_are_the_mean_of_the_distributions(teachers: list[str]) -> None:
    both = Teachers.load(teachers, torch.device("cpu")).targets(IDS, MASK)
    single = [Teachers.load([t], torch.device("cpu")).targets(IDS, MASK) for t in teachers]
    assert torch.allclose(both, (single[0] + single[1]) / 2)
    assert not torch.allclose(single[0], single[1])
    assert torch.allclose(both.sum(-1), MASK.float())


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
