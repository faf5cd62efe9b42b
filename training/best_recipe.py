"""`best.json`: the recipe of a study's best trial."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.recipe import Recipe, RecipeInvalid

BEST_FILE = "best.json"
# They belong to the machine that a recipe is used on.
_LEFT_OUT = ("threads", "device")


class BestRecipeInvalid(Exception):
    """The file is missing or is no recipe; the message says what to change."""


@dataclass(frozen=True, slots=True)
class BestRecipe:
    """What a search found."""

    trial: int
    mean_f1: float  # on the dev splits, in percent
    recipe: Recipe


def write_best(best: BestRecipe, folder: Path) -> Path:
    """Writes the file.

    Args:
        best: its content.
        folder: the study's.

    Returns:
        The file.
    """
    content = asdict(best)
    for name in _LEFT_OUT:
        del content["recipe"][name]
    path = folder / BEST_FILE
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    return path


def read_best(path: Path) -> BestRecipe:
    """Reads the file.

    Args:
        path: the file, or the folder of the study.

    Raises:
        BestRecipeInvalid: there is none, or it is no such file.
    """
    path = path / BEST_FILE if path.is_dir() else path
    try:
        content = json.loads(path.read_text("utf-8"))
        # JSON knows no tuples.
        settings: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in content["recipe"].items()
        }
        _check_types(settings)
        return BestRecipe(content["trial"], content["mean_f1"], Recipe(**settings))
    except OSError as error:
        raise BestRecipeInvalid(
            f"{path}: {error.strerror}; python -m training search writes it"
        ) from error
    except RecipeInvalid as error:
        raise BestRecipeInvalid(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise BestRecipeInvalid(f"{path}: is no recipe of a search: {error}") from error


def _check_types(settings: Mapping[str, object]) -> None:
    for field in dataclasses.fields(Recipe):
        kind = type(field.default)
        if not isinstance(settings.get(field.name, field.default), kind):
            raise TypeError(f"{field.name} is no {kind.__name__}")
