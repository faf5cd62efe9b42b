"""Averaging: the moving average of a network's weights, which is steadier than the weights are."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

# The first steps are forgotten faster, or the untrained weights would weigh for thousands of steps.
_WARMUP_STEPS = 10


class AveragedWeights:
    """The exponential moving average of a network's weights.

    Args:
        network: its weights are the first average.
        decay: share of the old average that a step keeps, in (0, 1).

    Source: Polyak & Juditsky, Acceleration of Stochastic Approximation by Averaging (1992); the
    warm-up is that of TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network = network
        self._decay = decay
        self._averages = {
            name: weight.detach().clone() for name, weight in network.named_parameters()
        }

    def update(self, step: int) -> None:
        """Takes the network's weights into the average.

        Args:
            step: how many were taken before; from 0.
        """
        keep = min(self._decay, (1 + step) / (_WARMUP_STEPS + step))
        with torch.no_grad():
            for name, weight in self._network.named_parameters():
                self._averages[name].lerp_(weight, 1 - keep)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Gives the network the averages; its own weights come back at the end."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by the names of the weights."""
        return self._averages

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes averages that were written before.

        Args:
            state: what `state_dict` gave.
        """
        with torch.no_grad():
            for name, average in self._averages.items():
                average.copy_(state[name])

    def _swap(self) -> None:
        with torch.no_grad():
            for name, weight in self._network.named_parameters():
                own = weight.clone()
                weight.copy_(self._averages[name])
                self._averages[name].copy_(own)
