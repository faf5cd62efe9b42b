"""Averaged weights."""

import contextlib

import pytest
import torch
from torch import nn

from training.averaging import AveragedWeights


def network_of(weight: float) -> nn.Linear:
    network = nn.Linear(1, 1, bias=False)
    set_weight(network, weight)
    return network


def set_weight(network: nn.Linear, weight: float) -> None:
    nn.init.constant_(network.weight, weight)


def test_a_step_keeps_a_share_of_the_old_average() -> None:
    network = network_of(0.0)
    averages = AveragedWeights(network, 0.75)
    set_weight(network, 1.0)
    averages.update(step=1_000)
    averages.update(step=1_001)
    assert averages.state_dict()["weight"].item() == pytest.approx(1 - 0.75**2)


def test_the_first_steps_forget_where_training_began() -> None:
    network = network_of(0.0)
    averages = AveragedWeights(network, 0.999)
    set_weight(network, 1.0)
    averages.update(step=0)
    assert averages.state_dict()["weight"].item() == pytest.approx(0.9)


def test_the_networks_own_weights_come_back_even_after_an_error() -> None:
    network = network_of(1.0)
    averages = AveragedWeights(network, 0.5)
    set_weight(network, 3.0)
    with contextlib.suppress(RuntimeError), averages.applied():
        assert network.weight.item() == 1.0
        raise RuntimeError
    assert network.weight.item() == 3.0
    assert averages.state_dict()["weight"].item() == 1.0


def test_averages_can_be_written_and_read() -> None:
    first = AveragedWeights(network_of(2.0), 0.5)
    second = AveragedWeights(network_of(0.0), 0.5)
    second.load_state_dict(first.state_dict())
    assert torch.equal(second.state_dict()["weight"], first.state_dict()["weight"])
