"""The chain: every step from made-up sentences to an answer of the service, in a few minutes.

What it trains knows nothing but the sample, and is thrown away, with the store that tracks it.
"""

from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from protos.ner.v1 import entity_recognizer_pb2 as pb
from training.commands import Workplace, run_publish
from training.fine_tune_command import FineTuning, run_fine_tune
from training.recipe import Recipe
from training.recipe_options import command_of
from training.run import TrainingInterrupted
from training.sample.generate import SAMPLE
from training.served_model import ServedModel
from training.tracking import open_store

# Of the sample; its people and places stand in no training sentence together.
TEXT = "Corin Lindqvist of Halvorsen Shipping flew from Port Elvane to Brackwater."
_NAME = "sample"
_ALIAS = "newest"
# In the second epoch of four, some ten steps each.
_STOP_AFTER_STEPS = 15
SAMPLE_SETTINGS: dict[str, Any] = {
    "epochs": 4,
    "batch_size": 16,
    "learning_rate": 5e-4,
    "threads": 1,
}


@dataclass(slots=True)
class StopAfter:
    """Asks to stop from a step on, as Ctrl-C would."""

    steps: int

    def __call__(self) -> bool:
        """Counts a step."""
        self.steps -= 1
        return self.steps <= 0


def sample_recipe(recipe: Recipe) -> Recipe:
    """The settings for the sample: few steps, for it is small, and long ones, for they are few.

    One thread: in batches this small, two wait for each other for longer than they work whenever
    the machine has something else to do (38 s of CPU time became 75 s).

    Args:
        recipe: gives the encoder, the seed and the like.
    """
    return replace(recipe, **SAMPLE_SETTINGS)


def run_chain(recipe: Recipe) -> list[pb.Entity]:
    """Runs every step on the sample, in a temporary folder.

    Args:
        recipe: of `sample_recipe`.

    Returns:
        What the service found in TEXT.
    """
    with TemporaryDirectory(prefix="nerve-training-") as folder:
        root = Path(folder)
        place = Workplace(SAMPLE, root / "runs" / _NAME, root / "models", recipe.threads)
        step = _Steps()
        step.say(f"data: {', '.join(source.name for source in place.sources)} of {SAMPLE}")
        options = FineTuning(
            command_of(recipe),
            _NAME,
            _ALIAS,
            store=partial(open_store, server=False),
            resume=False,
            state_steps=1_000,
        )
        step.say("fine-tune, stopped in the second epoch")
        try:
            run_fine_tune(place, recipe, options, nullcontext(StopAfter(_STOP_AFTER_STEPS)))
        except TrainingInterrupted as stopped:
            print(f"stopped: {stopped}")
        step.say("resume")
        run_fine_tune(place, recipe, replace(options, resume=True))
        step.say("export, quantize, evaluate, gate, publish")
        run_publish(place, _NAME, None, replace_version=False)
        step.say("serve, ask")
        with ServedModel(place.models) as served:
            found = served.entities(TEXT, _NAME)
        print(TEXT)
        for entity in found:
            print(f"  {entity.text}: {entity.label} {entity.score:.2f}")
        return found


class _Steps:
    """Numbers what is printed."""

    def __init__(self) -> None:
        self._number = 0

    def say(self, what: str) -> None:
        self._number += 1
        print(f"\n[{self._number}] {what}", flush=True)
