"""The file of the search space."""

from pathlib import Path

import optuna
import pytest

from training.recipe import Recipe
from training.search_space import (
    DEFAULT_SPACE,
    Choices,
    FloatRange,
    IntRange,
    SpaceInvalid,
    read_space,
)


def space_file(folder: Path, content: str) -> Path:
    path = folder / "space.toml"
    path.write_text(content)
    return path


def test_ranges_and_choices_replace_fields_of_the_recipe(tmp_path: Path) -> None:
    path = space_file(
        tmp_path,
        "[learning_rate]\nlow = 1e-4\nhigh = 1e-3\nlog = true\n"
        "[epochs]\nlow = 2\nhigh = 8\nstep = 2\n"
        "[bfloat16]\nchoices = [true]\n",
    )
    space = read_space(path)
    assert space.dimensions == (
        FloatRange("learning_rate", 1e-4, 1e-3, log=True),
        IntRange("epochs", 2, 8, log=False, step=2),
        Choices("bfloat16", (True,)),
    )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    recipes = [space.suggest(study.ask(), Recipe(batch_size=5)) for _ in range(20)]
    assert all(1e-4 <= recipe.learning_rate <= 1e-3 for recipe in recipes)
    assert {recipe.epochs for recipe in recipes} == {2, 4, 6, 8}
    assert {(recipe.bfloat16, recipe.batch_size) for recipe in recipes} == {(True, 5)}


def test_the_space_that_comes_with_the_package_can_be_read() -> None:
    names = {dimension.name for dimension in read_space(DEFAULT_SPACE).dimensions}
    assert {"learning_rate", "epochs", "batch_size", "weight_decay"} <= names


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[", "not TOML"),
        ("", "varies nothing"),
        ("[rate]\nlow = 1\nhigh = 2", "rate is no field that can vary: encoder, epochs"),
        ("[threads]\nlow = 1\nhigh = 2", "threads is no field that can vary"),
        ("[epochs]\nlow = 0\nhigh = 6", "--epochs 0: must be at least 1"),
        ("[recased_share]\nlow = 0\nhigh = 20", "--recased-share 20: must be from 0 to 1"),
        ("[average_decay]\nchoices = [0.99, 1.0]", "--average-decay 1: must be at least 0"),
        ("epochs = 3", r"epochs: write a table \[epochs\]"),
        ("[epochs]\nlow = 1", "epochs: write low and high"),
        ("[epochs]\nlow = 1\nhigh = 2\nmiddle = 1", "epochs: write low and high"),
        ("[epochs]\nlow = 1\nhigh = 2\nchoices = [3]", "epochs: write low and high"),
        ("[epochs]\nlow = 1.5\nhigh = 2", "epochs: 1.5 is no whole number"),
        ("[epochs]\nlow = 3\nhigh = 2", "epochs: low 3 is not below high 2"),
        ("[epochs]\nlow = 1\nhigh = 4\nstep = 0", "epochs: step must be at least 1"),
        ("[epochs]\nlow = 1\nhigh = 4\nlog = 1", "epochs: log is true or false"),
        ("[learning_rate]\nlow = 0.0\nhigh = 1\nlog = true", "low must be above 0"),
        ("[learning_rate]\nlow = -1\nhigh = 1", "learning_rate: -1.0 is negative"),
        ("[learning_rate]\nlow = 0.0\nhigh = 1\nstep = 1", "step is for whole numbers"),
        ("[bfloat16]\nlow = 0\nhigh = 1", "bfloat16: is no number: write choices"),
        ("[bfloat16]\nchoices = [1]", "bfloat16: 1 is no bool"),
        ("[batch_size]\nchoices = []", "batch_size: choices is an empty list"),
        ("[batch_size]\nchoices = [8, '9']", "batch_size: '9' is no whole number"),
    ],
)
def test_a_wrong_space_is_named_with_its_field(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(SpaceInvalid, match=rf"space\.toml: .*{reason}"):
        read_space(space_file(tmp_path, content))


def test_a_missing_space_is_named_with_its_option(tmp_path: Path) -> None:
    with pytest.raises(SpaceInvalid, match=r"No such file.*--space names the file"):
        read_space(tmp_path / "none.toml")
