"""The run: where it is kept, how it stops and goes on, and what stands in its record."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


class TrainingInterrupted(Exception):
    """Someone asked to stop. The message says how far the run is and whether it can go on."""


def never() -> bool:
    """No one asks to stop."""
    return False


@dataclass(frozen=True, slots=True)
class Run:
    """Where a run is kept, how it stops and goes on, and what stands in its record."""

    folder: Path  # gets the model, and the state that it can go on from
    command: str  # that trains it again
    commit: str | None  # of the code, where it is known
    run_id: str | None = None  # in the tracking store
    state_steps: int = 0  # between two states, and one after each epoch; 0: none is written
    resume: bool = False  # go on from the state in the folder
    interrupted: Callable[[], bool] = never  # asked after each step
