"""Where networks learn and are asked."""

import torch

from training.recipe import Recipe


def device_of(recipe: Recipe) -> torch.device:
    """Where the network learns.

    Args:
        recipe: names a device, or leaves it to this machine.
    """
    return torch.device(recipe.device or ("cuda" if torch.cuda.is_available() else "cpu"))
