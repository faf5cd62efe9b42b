"""`best.json`: the recipe of a study's best trial."""

import dataclasses
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.recipe import Recipe

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
        best = BestRecipe(content["trial"], content["mean_f1"], Recipe(**settings))
    except OSError as error:
        raise BestRecipeInvalid(
            f"{path}: {error.strerror}; python -m training search writes it"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise BestRecipeInvalid(f"{path}: is no recipe of a search: {error}") from error
    for field in dataclasses.fields(Recipe):
        if not isinstance(getattr(best.recipe, field.name), type(field.default)):
            raise BestRecipeInvalid(f"{path}: {field.name} is no {type(field.default).__name__}")
    return best
