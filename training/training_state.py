"""Training state: what a run needs to go on as if it had never stopped.

One file, replaced in one step. The batches of an epoch are drawn from the seed and the number of
the epoch, so that the only generators with a state of their own are torch's.
"""

import os
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from training.early_stopping import BestEpoch

STATE_FILE = "state.pt"


class StateInvalid(Exception):
    """A run cannot go on, or must not begin anew; the message says why."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a run is."""

    epoch: int = 1  # the one that is being learned, from 1
    batches: int = 0  # of that epoch that are learned
    step: int = 0  # of the whole run that are done
    loss: float = 0.0  # sum over the batches of the epoch

    def after_step(self, loss: float) -> "Position":
        """One batch further.

        Args:
            loss: of that batch.
        """
        return Position(self.epoch, self.batches + 1, self.step + 1, self.loss + loss)

    def after_epoch(self) -> "Position":
        """At the first batch of the next epoch."""
        return Position(self.epoch + 1, 0, self.step, 0.0)


@dataclass(frozen=True, slots=True)
class TrainingState:
    """All that changes while a run learns."""

    conditions: Mapping[str, str]  # settings and data: a run goes on under the same only
    position: Position
    best: BestEpoch
    elapsed_s: float
    run_id: str | None  # in the tracking store
    parts: dict[str, Any]  # state_dict of network, optimizer, schedule, averages
    random: dict[str, Any]  # of torch's generators


def write_state(folder: Path, state: TrainingState) -> None:
    """Writes the state; a crash at any time leaves the old one or the new one.

    Args:
        folder: of the run; made if it is missing.
        state: what to write.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / STATE_FILE
    writing = path.with_suffix(".writing")
    content = {field.name: getattr(state, field.name) for field in fields(state)}
    content |= {
        "conditions": dict(state.conditions),
        "position": asdict(state.position),
        "best": asdict(state.best),
    }
    with writing.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    writing.replace(path)


def read_state(folder: Path) -> TrainingState:
    """Reads the state; tensors are left in the file until they are used.

    Args:
        folder: of the run.

    Raises:
        StateInvalid: there is none, or it is no such file.
    """
    path = folder / STATE_FILE
    if not path.is_file():
        raise StateInvalid(f"{path}: no such file: nothing to resume, the run is finished or new")
    try:
        # weights_only: tensors and plain values are read, nothing is executed.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        content |= {
            "position": Position(**content["position"]),
            "best": BestEpoch(**content["best"]),
        }
        return TrainingState(**content)
    except (RuntimeError, pickle.UnpicklingError, TypeError, KeyError, EOFError) as error:
        raise StateInvalid(
            f"{path}: not a training state: begin anew, in another folder"
        ) from error


def remove_state(folder: Path) -> None:
    """Removes the state of a run that is finished.

    Args:
        folder: of the run.
    """
    (folder / STATE_FILE).unlink(missing_ok=True)


def check_unstarted(folder: Path) -> None:
    """Refuses to begin where an unfinished run lies.

    Args:
        folder: of the run.

    Raises:
        StateInvalid: there is a state.
    """
    if (folder / STATE_FILE).exists():
        raise StateInvalid(
            f"{folder}: holds an unfinished run: --resume goes on with it; to begin anew, name"
            " another folder with --run, or remove this one"
        )


def check_conditions(stopped: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Refuses to go on under other settings or with other data.

    Args:
        stopped: what the run was made with.
        now: what it would go on with.

    Raises:
        StateInvalid: they differ; the message names each difference.
    """
    none = "none"
    differences = [
        f"{name} was {stopped.get(name, none)}, is {now.get(name, none)}"
        for name in sorted(stopped.keys() | now.keys())
        if stopped.get(name) != now.get(name)
    ]
    if differences:
        raise StateInvalid("it was begun otherwise: " + "; ".join(differences))


def random_state() -> dict[str, Any]:
    """The state of torch's generators."""
    state: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Sets torch's generators.

    Args:
        state: what `random_state` gave.
    """
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
