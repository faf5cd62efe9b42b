"""The recipe: the settings that, with the data, decide what a run ends in."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of a run. The defaults are of a run without teachers (docs/adr/0019)."""

    encoder: str = ""  # folder or hub name; empty: the installed package
    begin_with: str = ""  # folder of a checkpoint to begin with, in place of an encoder
    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 1.2e-4
    new_parameter_factor: float = 5.0  # the head and the vectors of case, where they are untrained
    weight_decay: float = 0.01
    warmup_share: float = 0.06  # of the steps
    gradient_norm_limit: float = 1.0
    most_tokens: int = 256  # in a training example
    replaced_share: float = 0.0  # of the examples with names, those that get other names
    recased_share: float = 0.0  # of the examples, those in small letters or capitals
    average_decay: float = 0.0  # of the moving average of the weights, below 1; 0: none is taken
    teachers: tuple[str, ...] = ()  # folders of checkpoints whose mean is learned too
    answers: tuple[str, ...] = ()  # files of what teachers answered before, in their place
    teachers_share: float = 0.5  # of the loss, [0, 1]; the rest is the annotation's
    patience: int = 0  # epochs without a better mean dev F1 that end the run; 0: none ever do
    seed: int = 20240607
    bfloat16: bool = False  # matrix products only; weights and sums stay float32
    device: str = ""  # "cpu" or "cuda"; empty: CUDA where there is one
    threads: int = 2  # of the CPU; another number rounds sums otherwise


def device_of(recipe: Recipe) -> torch.device:
    """Where the network learns.

    Args:
        recipe: names a device, or leaves it to this machine.
    """
    return torch.device(recipe.device or ("cuda" if torch.cuda.is_available() else "cpu"))
