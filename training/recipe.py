"""The recipe: the settings that, with the data, decide what a run ends in."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_PACKAGED_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"


class RecipeInvalid(Exception):
    """A setting is out of its range; the message says which, and the range."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of a run. The defaults are of a run without teachers (docs/adr/0019).

    Raises:
        RecipeInvalid: a setting is out of its range.
    """

    encoder: str = ""  # folder or hub name; empty: the installed package
    begin_with: str = ""  # folder of a checkpoint to begin with, in place of an encoder
    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 1.2e-4
    new_parameter_factor: float = 5.0  # the head and the vectors of case, where they are untrained
    weight_decay: float = 0.01
    warmup_share: float = 0.06  # of the steps
    gradient_norm_limit: float = 1.0
    dropout: float = 0.1  # of hidden states and attention
    most_tokens: int = 256  # in a training example
    # Of the examples, those that are passages. A fifth holds about half of the sentences. Two
    # fifths, in 5 epochs, agreed better on long documents (F1 89 for 85 in windows of 128 tokens)
    # but lost on short texts (EWT 76.7 for 77.1).
    passage_share: float = 0.2
    # Of the windows of a long text where the model is served, each of which holds as many
    # sentences as fit; 0: as the beginning has it, of an encoder a sentence each.
    passage_tokens: int = 0
    replaced_share: float = 0.0  # of the examples with names, those that get other names
    recased_share: float = 0.0  # of the examples, those in small letters or capitals
    continuation_weight: float = 1.0  # in the loss, of the tokens of a word after its first
    average_decay: float = 0.0  # of the moving average of the weights, below 1; 0: none is taken
    teachers: tuple[str, ...] = ()  # folders of checkpoints whose mean is learned too
    answers: tuple[str, ...] = ()  # files of what teachers answered before, in their place
    teachers_share: float = 0.5  # of the loss, [0, 1]; the rest is the annotation's
    features_share: float = 0.0  # weight of the teacher's features at the start, beside the loss
    patience: int = 0  # epochs without a better mean dev F1 that end the run; 0: none ever do
    seed: int = 20240607
    bfloat16: bool = False  # matrix products only; weights and sums stay float32
    device: str = ""  # "cpu" or "cuda"; empty: CUDA where there is one
    threads: int = 2  # of the CPU; another number rounds sums otherwise

    def __post_init__(self) -> None:
        for words, (is_in_range, names) in _RANGES.items():
            for name in names:
                value = getattr(self, name)
                if not is_in_range(value):
                    option = f"--{name.replace('_', '-')}"
                    raise RecipeInvalid(f"{option} {value:g}: must be {words}")


# Comparisons with a value that is no number are false, so that it is in no range.
_RANGES: Mapping[str, tuple[Callable[[float], bool], tuple[str, ...]]] = {
    "at least 1": (lambda x: x >= 1, ("epochs", "batch_size", "threads")),
    "at least 3, two of them special": (lambda x: x >= 3, ("most_tokens",)),
    "at least 8, or 0": (lambda x: x == 0 or x >= 8, ("passage_tokens",)),
    "from 0 to 1": (
        lambda x: 0 <= x <= 1,
        (
            "passage_share",
            "replaced_share",
            "recased_share",
            "continuation_weight",
            "teachers_share",
            "warmup_share",
        ),
    ),
    "at least 0 and below 1": (lambda x: 0 <= x < 1, ("average_decay", "dropout")),
    "at least 0": (
        lambda x: 0 <= x < math.inf,
        ("learning_rate", "new_parameter_factor", "weight_decay", "features_share", "patience"),
    ),
    "above 0": (lambda x: 0 < x < math.inf, ("gradient_norm_limit",)),
}


def settings_without_effect(recipe: Recipe) -> dict[str, str]:
    """Settings that a recipe makes no use of, and why.

    Args:
        recipe: the settings.
    """
    reasons = {}
    if recipe.begin_with:
        reasons["encoder"] = "--begin-with takes its place"
        reasons["new_parameter_factor"] = "with --begin-with no parameter is new"
    if not recipe.teachers and not recipe.answers:
        reasons["teachers_share"] = "there are no --teachers or --answers"
    if not recipe.answers:
        reasons["features_share"] = "there are no --answers"
    return reasons


def encoder_name(encoder: str) -> str:
    """What a pretrained encoder is called on any machine.

    Args:
        encoder: a Hugging Face folder, or a hub name; empty for the one of the package.
    """
    if not encoder:
        return _PACKAGED_ENCODER
    return Path(encoder).resolve().name if Path(encoder).is_dir() else encoder
