"""A recipe from the command line, and the command line of a recipe."""

import argparse
import re
import shlex
from dataclasses import fields, replace
from pathlib import Path

import pytest

from training.best_recipe import BestRecipe, BestRecipeInvalid, write_best
from training.recipe import Recipe, RecipeInvalid
from training.recipe_options import command_of, recipe_of, recipe_parser

SEARCHED = Recipe(
    encoder="someone/encoder",
    learning_rate=0.00013282937461,
    weight_decay=0.031,
    warmup_share=0.1,
    bfloat16=True,
)


def parsed(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(parents=[recipe_parser()])
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(words)


def test_without_options_the_recipe_is_the_one_that_ships() -> None:
    assert recipe_of(parsed([])) == Recipe()


def test_a_study_s_best_recipe_is_taken_and_options_replace_its_settings(tmp_path: Path) -> None:
    path = write_best(BestRecipe(0, 80.0, SEARCHED), tmp_path)
    assert recipe_of(parsed(["--from-study", str(path)])) == SEARCHED
    words = ["--from-study", str(tmp_path), "--epochs", "9"]
    assert recipe_of(parsed(words)) == replace(SEARCHED, epochs=9)


def test_what_is_given_takes_the_place_of_what_a_study_had_instead_of_it(tmp_path: Path) -> None:
    searched = replace(SEARCHED, encoder="", begin_with="/a", answers=("/b",))
    write_best(BestRecipe(0, 80.0, searched), tmp_path)
    words = ["--from-study", str(tmp_path), "--encoder", "someone/encoder", "--teachers", "/c"]
    recipe = recipe_of(parsed(words))
    assert (recipe.encoder, recipe.begin_with) == ("someone/encoder", "")
    assert (recipe.teachers, recipe.answers) == (("/c",), ())


def test_the_written_command_gives_the_recipe_again_to_the_last_digit() -> None:
    words = shlex.split(command_of(SEARCHED))
    assert words[:6] == "python -m training fine-tune --data DIR".split()
    assert recipe_of(parsed(words[6:])) == SEARCHED


def test_the_written_command_names_the_sets_and_that_duplicates_were_left_out() -> None:
    command = command_of(Recipe(), ["btc", "wnut17"], drop_duplicates=True)
    start = "python -m training fine-tune --data DIR --sets btc wnut17 --drop-duplicates --epochs"
    assert command.startswith(start)


def test_the_written_command_names_no_folder_of_this_machine() -> None:
    words = ["--teachers", "/home/jane/one", "/home/jane/two", "--begin-with", "/home/jane/three"]
    recipe = recipe_of(parsed(words))
    assert recipe.teachers == ("/home/jane/one", "/home/jane/two")
    assert recipe.begin_with == "/home/jane/three"
    command = command_of(recipe)
    assert "--teachers TEACHER1 TEACHER2" in command
    assert "--begin-with RUN" in command
    assert "jane" not in command


def test_an_encoder_is_written_by_the_name_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "all-mpnet-base-v2").mkdir()
    for given, written in (
        (str(tmp_path / "all-mpnet-base-v2"), "all-mpnet-base-v2"),
        ("someone/some-encoder", "someone/some-encoder"),
    ):
        command = command_of(recipe_of(parsed(["--encoder", given])))
        assert f"--encoder {written} " in f"{command} "


def test_a_run_does_not_begin_with_two_things(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(["--encoder", "one", "--begin-with", "two"])
    assert "not allowed with argument --encoder" in capsys.readouterr().err


@pytest.mark.parametrize("name", [field.name for field in fields(Recipe)])
def test_every_setting_has_an_option(name: str) -> None:
    """Else the command in a model's record would not train it again."""
    parser = argparse.ArgumentParser(parents=[recipe_parser()])
    parser.add_argument("--threads")
    assert f"--{name.replace('_', '-')}" in parser.format_help()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--epochs 0", "--epochs 0: must be at least 1"),
        ("--recased-share 20", "--recased-share 20: must be from 0 to 1"),
        ("--continuation-weight 2", "--continuation-weight 2: must be from 0 to 1"),
        ("--teachers-share -0.1", "--teachers-share -0.1: must be from 0 to 1"),
        ("--dropout 1", "--dropout 1: must be at least 0 and below 1"),
        ("--average-decay 1", "--average-decay 1: must be at least 0 and below 1"),
        ("--learning-rate nan", "--learning-rate nan: must be at least 0"),
        ("--gradient-norm-limit 0", "--gradient-norm-limit 0: must be above 0"),
        ("--most-tokens 2", "--most-tokens 2: must be at least 3, two of them special"),
    ],
)
def test_a_setting_out_of_its_range_is_named_with_the_range(words: str, message: str) -> None:
    with pytest.raises(RecipeInvalid, match=f"^{re.escape(message)}$"):
        recipe_of(parsed(words.split()))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--teachers-share 0.9", "--teachers-share has no effect: there are no --teachers or"),
        ("--features-share 0.3", "--features-share has no effect: there are no --answers"),
        ("--features-share 0.3 --teachers a", "--features-share has no effect: there are no"),
        ("--new-parameter-factor 3 --begin-with a", "--new-parameter-factor has no effect: with"),
    ],
)
def test_a_setting_without_effect_is_refused(words: str, message: str) -> None:
    with pytest.raises(RecipeInvalid, match=f"^{re.escape(message)}"):
        recipe_of(parsed(words.split()))


def test_a_setting_of_a_study_is_in_its_range_too(tmp_path: Path) -> None:
    path = write_best(BestRecipe(0, 80.0, SEARCHED), tmp_path)
    path.write_text(path.read_text("utf-8").replace("0.031", "-0.031"), "utf-8")
    with pytest.raises(BestRecipeInvalid, match=r"best\.json: .*--weight-decay -0\.031"):
        recipe_of(parsed(["--from-study", str(path)]))
