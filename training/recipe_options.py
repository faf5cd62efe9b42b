"""The options of a recipe on the command line."""

import argparse
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from training.best_recipe import read_best
from training.recipe import (
    Recipe,
    RecipeInvalid,
    encoder_name,
    settings_without_effect,
)

# Settings that are paths of this machine, and what stands for them in a written command.
_PATHS = {"begin_with": "RUN", "answers": "ANSWERS", "teachers": "TEACHER"}
# Of which one stands in the place of the other, also of one that a study found.
_INSTEAD = (
    ("encoder", "begin_with"),
    ("begin_with", "encoder"),
    ("teachers", "answers"),
    ("answers", "teachers"),
)
# Always written, so that a command stays true when a default changes.
_ALWAYS_WRITTEN = frozenset({"epochs", "batch_size", "learning_rate", "seed", "threads"})


def recipe_parser() -> argparse.ArgumentParser:
    """The options, as a parent of the parsers that take them; one not given sets nothing."""
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    parser.add_argument(
        "--from-study",
        type=Path,
        metavar="FILE",
        help="begin with the recipe that a search found: its best.json, or the study's folder;"
        " the options below replace its settings",
    )
    _add_beginning(parser)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--seed", type=int)
    _add_examples(parser)
    parser.add_argument(
        "--continuation-weight",
        type=float,
        metavar="WEIGHT",
        help="in the loss, of the tokens of a word after its first, which is the one that speaks"
        " for the word where it is served; 0.2 for one; default: 1",
    )
    parser.add_argument(
        "--average-decay",
        type=float,
        metavar="SHARE",
        help="use a moving average of the weights that keeps this share a step, 0.999 for one",
    )
    _add_teachers(parser)
    parser.add_argument(
        "--patience",
        type=int,
        metavar="EPOCHS",
        help="stop after so many epochs without a better mean dev F1, and use the best epoch's"
        " weights; default: never stop, use the last",
    )
    parser.add_argument(
        "--bfloat16",
        action="store_true",
        help="multiply in bfloat16: more than twice as fast where the processor has it",
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), help="default: CUDA where there is one"
    )
    parser.add_argument(
        "--new-parameter-factor",
        type=float,
        help="of the rate, for new weights; none are with --begin-with",
    )
    parser.add_argument("--weight-decay", type=float)
    parser.add_argument("--warmup-share", type=float, help="of the steps")
    parser.add_argument("--gradient-norm-limit", type=float)
    parser.add_argument(
        "--dropout",
        type=float,
        metavar="SHARE",
        help="of hidden states and attention; a student that reads much text with --answers may do"
        " without, and is a quarter faster then; default: 0.1",
    )
    parser.add_argument("--most-tokens", type=int, help="in a training example; longer are cut")
    return parser


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe that options ask for.

    Args:
        options: of `recipe_parser`, and `threads`.

    Raises:
        BestRecipeInvalid: `--from-study` names no recipe.
        RecipeInvalid: a setting is out of its range, or given where it has no effect.
    """
    study = getattr(options, "from_study", None)
    base = read_best(study).recipe if study else Recipe()
    given = given_settings(options)
    for name, other in _INSTEAD:
        if name in given:
            base = replace(base, **{other: getattr(Recipe(), other)})
    recipe = replace(base, **given)
    for name, reason in settings_without_effect(recipe).items():
        if name in given:
            raise RecipeInvalid(f"--{name.replace('_', '-')} has no effect: {reason}")
    return recipe


def given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The settings of a recipe that options name, and no defaults but `threads`.

    Args:
        options: of `recipe_parser`, and `threads`.
    """
    names = {field.name for field in fields(Recipe)}
    return {
        # A recipe must not hold lists.
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(options).items()
        if name in names
    }


def command_of(recipe: Recipe, sets: Sequence[str] = (), *, drop_duplicates: bool = False) -> str:
    """The command line that trains with a recipe, without the paths of this machine.

    Args:
        recipe: of `recipe_of`.
        sets: of the data folder; empty: all.
        drop_duplicates: whether sentences that are also measured are left out.
    """
    words = ["python -m training fine-tune --data DIR"]
    if sets:
        words.append(f"--sets {' '.join(sets)}")
    if drop_duplicates:
        words.append("--drop-duplicates")
    for field in fields(Recipe):
        value = getattr(recipe, field.name)
        if field.name in _ALWAYS_WRITTEN or value != field.default:
            option = f"--{field.name.replace('_', '-')}"
            words.append(option if value is True else f"{option} {_written(field.name, value)}")
    return " ".join(words)


def _written(name: str, value: object) -> str:
    """A value on the command line; paths are of this machine, their number is the recipe's."""
    if isinstance(value, tuple):
        return " ".join(f"{_PATHS[name]}{i}" for i in range(1, len(value) + 1))
    if name == "encoder":
        return encoder_name(str(value))
    return _PATHS.get(name, str(value))


def _add_beginning(parser: argparse.ArgumentParser) -> None:
    beginning = parser.add_mutually_exclusive_group()
    beginning.add_argument(
        "--encoder", help="Hugging Face folder or hub name; default: the package"
    )
    beginning.add_argument(
        "--begin-with",
        metavar="RUN",
        help="folder of a trained checkpoint: its weights go on learning, in place of an encoder",
    )


def _add_examples(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--passage-share",
        type=float,
        metavar="SHARE",
        help="join sentences with those that follow in their document, so that this share of the"
        " examples holds several: the model then reads texts of several sentences better, one by"
        " one worse, in fewer steps; default: 0.2",
    )
    parser.add_argument(
        "--passage-tokens",
        type=int,
        metavar="TOKENS",
        help="the model reads passages: where it is served, a window of a long text holds as many"
        " sentences as fit in so many tokens; 256 for one, learned from what `passages` writes;"
        " default: as --begin-with has it, else a window for each sentence",
    )
    parser.add_argument(
        "--replaced-share",
        type=float,
        metavar="SHARE",
        help="put other names of their types into this share of the sentences with names",
    )
    parser.add_argument(
        "--recased-share",
        type=float,
        metavar="SHARE",
        help="put this share of the texts in small letters, in capitals, or with every word"
        " capitalized",
    )


def _add_teachers(parser: argparse.ArgumentParser) -> None:
    taught = parser.add_mutually_exclusive_group()
    taught.add_argument(
        "--teachers",
        nargs="+",
        metavar="RUN",
        help="folders of trained checkpoints: their mean is learned beside the annotation",
    )
    taught.add_argument(
        "--answers",
        nargs="+",
        metavar="FILE",
        help="what teachers answered: `ask` writes it; in place of teachers that are asked again"
        " in every step; of several files the last that knows a sentence is right",
    )
    parser.add_argument("--teachers-share", type=float, help="of the loss; default: a half")
    parser.add_argument(
        "--features-share",
        type=float,
        metavar="WEIGHT",
        help="of the features in --answers (`ask --features`) beside the loss, at the start; it"
        " falls to 0 before the end; 0.3 for one; default: 0",
    )
