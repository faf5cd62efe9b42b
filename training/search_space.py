"""The search space: which fields of a recipe a search varies, and within which bounds."""

import dataclasses
import logging
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from training.recipe import Recipe, RecipeInvalid, settings_without_effect

_log = logging.getLogger(__name__)
DEFAULT_SPACE = Path(__file__).with_name("search_space.toml")
Value = int | float | str | bool
# They belong to the machine.
_FIXED = frozenset({"threads", "device", "teachers", "begin_with"})
_RANGE_KEYS = frozenset({"low", "high", "log", "step"})


class SpaceInvalid(Exception):
    """The file of the search space is wrong; the message says what to change."""


@dataclass(frozen=True, slots=True)
class FloatRange:
    """Numbers from low to high, both included."""

    name: str
    low: float
    high: float
    log: bool

    def suggest(self, trial: optuna.Trial) -> object:
        """A trial's value."""
        return trial.suggest_float(self.name, self.low, self.high, log=self.log)


@dataclass(frozen=True, slots=True)
class IntRange:
    """Whole numbers from low to high, both included."""

    name: str
    low: int
    high: int
    log: bool
    step: int

    def suggest(self, trial: optuna.Trial) -> object:
        """A trial's value."""
        return trial.suggest_int(self.name, self.low, self.high, step=self.step, log=self.log)


@dataclass(frozen=True, slots=True)
class Choices:
    """One of several values."""

    name: str
    values: tuple[Value, ...]

    def suggest(self, trial: optuna.Trial) -> object:
        """A trial's value."""
        return trial.suggest_categorical(self.name, self.values)


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """Recipes to choose from."""

    dimensions: tuple[FloatRange | IntRange | Choices, ...]

    def suggest(self, trial: optuna.Trial, base: Recipe) -> Recipe:
        """The recipe of a trial: the base with the varied fields replaced."""
        chosen: dict[str, Any] = {d.name: d.suggest(trial) for d in self.dimensions}
        return dataclasses.replace(base, **chosen)


def read_space(path: Path) -> SearchSpace:
    """Reads a TOML file with a table for each varied field of the recipe.

    Args:
        path: a table has `low` and `high`, with `log = true` or for whole numbers `step`, or it
            has `choices`.

    Raises:
        SpaceInvalid: it is missing, no TOML, names what is no field, or a range is wrong.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SpaceInvalid(f"{path}: {error.strerror}; --space names the file") from error
    except ValueError as error:
        raise SpaceInvalid(f"{path}: not TOML: {error}") from error
    if not content:
        raise SpaceInvalid(f"{path}: varies nothing: add a table, as [learning_rate]")
    return SearchSpace(tuple(_dimensions(path, content)))


def check_unvaried(space: SearchSpace, path: Path, settings: Collection[str]) -> None:
    """Refuses settings that someone chose where every trial would replace them.

    Args:
        space: what is varied.
        path: its file, for the message.
        settings: fields of a recipe.

    Raises:
        SpaceInvalid: one is varied; the message names each.
    """
    varied = [dimension.name for dimension in space.dimensions if dimension.name in settings]
    if varied:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in varied)
        tables = ", ".join(f"[{name}]" for name in varied)
        raise SpaceInvalid(
            f"{path}: varies what {options} would set: leave that out, or name a file without"
            f" {tables} with --space"
        )


def effective(space: SearchSpace, path: Path, base: Recipe) -> SearchSpace:
    """The space without what would change nothing in any trial.

    Args:
        space: what is varied.
        path: its file, for the message.
        base: the settings that are not varied.

    Raises:
        SpaceInvalid: nothing is left.
    """
    vain = settings_without_effect(base)
    left = tuple(d for d in space.dimensions if d.name not in vain)
    for name in (d.name for d in space.dimensions if d.name in vain):
        _log.info("%s is not varied: %s", name, vain[name])
    if not left:
        raise SpaceInvalid(f"{path}: nothing that it varies has an effect here: add a table")
    return SearchSpace(left)


def _dimensions(path: Path, content: dict[str, Any]) -> Iterator[FloatRange | IntRange | Choices]:
    kinds = {f.name: type(f.default) for f in dataclasses.fields(Recipe) if f.name not in _FIXED}
    for name, table in content.items():
        if name not in kinds:
            raise SpaceInvalid(f"{path}: {name} is no field that can vary: {', '.join(kinds)}")
        try:
            dimension = _dimension(name, table, kinds[name])
            _check_recipes(dimension)
        except RecipeInvalid as error:
            raise SpaceInvalid(f"{path}: {error}") from error
        except ValueError as error:
            raise SpaceInvalid(f"{path}: {name}: {error}") from error
        yield dimension


def _check_recipes(dimension: FloatRange | IntRange | Choices) -> None:
    """Makes the recipes of a dimension's ends, so that no trial is the first to refuse one."""
    ends = dimension.values if isinstance(dimension, Choices) else (dimension.low, dimension.high)
    for value in ends:
        settings: dict[str, Any] = {dimension.name: value}
        Recipe(**settings)


def _dimension(name: str, table: Any, kind: type) -> FloatRange | IntRange | Choices:
    if not isinstance(table, dict):
        raise ValueError(f"write a table [{name}] with low and high, or choices")  # noqa: TRY004
    if table.keys() == {"choices"}:
        return Choices(name, _values(table["choices"], kind))
    unknown = table.keys() - _RANGE_KEYS
    if unknown or not {"low", "high"} <= table.keys():
        raise ValueError("write low and high, and perhaps log or step; or choices alone")
    if kind not in (int, float):
        raise ValueError("is no number: write choices")
    low, high, step = (_number(table.get(key, 1), kind) for key in ("low", "high", "step"))
    log = table.get("log", False)
    _check_range(low, high, log=log)
    if kind is float:
        if "step" in table:
            raise ValueError("step is for whole numbers: write choices")
        return FloatRange(name, low, high, log)
    if step < 1 or (log and step > 1):
        raise ValueError("step must be at least 1, and 1 where log is true")
    return IntRange(name, int(low), int(high), log, int(step))


def _values(values: Any, kind: type) -> tuple[Value, ...]:
    if not isinstance(values, list) or not values:
        raise ValueError("choices is an empty list or none")
    return tuple(_value(value, kind) for value in values)


def _value(value: Any, kind: type) -> Value:
    if kind in (int, float):
        return _positive(_number(value, kind))
    if not (isinstance(value, bool | str) and isinstance(value, kind)):
        raise ValueError(f"{value!r} is no {kind.__name__}")  # noqa: TRY004
    return value


def _number(value: Any, kind: type) -> float:
    if isinstance(value, bool) or not isinstance(value, (int,) if kind is int else (int, float)):
        raise ValueError(f"{value!r} is no {'whole ' if kind is int else ''}number")  # noqa: TRY004
    return value if kind is int else float(value)


def _positive(value: float) -> float:
    if value < 0:
        raise ValueError(f"{value!r} is negative")
    return value


def _check_range(low: float, high: float, *, log: Any) -> None:
    if not isinstance(log, bool):
        raise ValueError("log is true or false")  # noqa: TRY004
    if not low < high:
        raise ValueError(f"low {low:g} is not below high {high:g}")
    _positive(low)
    if log and low <= 0:
        raise ValueError("low must be above 0 where log is true")
