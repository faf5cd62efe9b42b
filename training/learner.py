"""The learner: a network and what moves its weights, one batch at a time."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from training.averaging import AveragedWeights
from training.batches import Batch
from training.data import LABELS
from training.device import device_of
from training.distillation import Teachers
from training.features import FeatureLearning
from training.loss import marginal_loss, taught_loss
from training.network import Network
from training.optimization import new_optimizer, new_schedule
from training.recipe import Recipe


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """A network, its optimizer, its learning rate and, if wanted, the average of its weights."""

    network: Network
    optimizer: AdamW
    schedule: LambdaLR
    averages: AveragedWeights | None
    teachers: Teachers | None
    teachers_share: float
    features: FeatureLearning | None
    device: torch.device
    bfloat16: bool
    gradient_norm_limit: float

    def learn(self, batch: Batch, step: int) -> float:
        """Moves the weights by one step.

        Args:
            batch: what to learn.
            step: how many were made before.

        Returns:
            The loss before the step.
        """
        self.network.train()
        features = self.features if self.features and self.features.weight(step) else None
        ids, mask = batch.ids.to(self.device), batch.mask.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            output = self.network(
                input_ids=ids,
                attention_mask=mask,
                output_hidden_states=features is not None,
            )
        logits = output.logits.float()
        allowed, weights = batch.allowed.to(self.device), batch.weights.to(self.device)
        targets = self._targets(batch, ids, mask)
        if targets is None:
            loss = marginal_loss(logits, allowed, weights)
        else:
            labels = targets[..., : len(LABELS)]
            loss = taught_loss(logits, allowed, labels, weights, self.teachers_share)
            if features and targets.shape[-1] > len(LABELS):
                loss = loss + features.loss(output.hidden_states, targets, step)
        loss.backward()  # type: ignore[no-untyped-call]  # torch annotates it only in part
        nn.utils.clip_grad_norm_(self.network.parameters(), self.gradient_norm_limit)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        if features:
            features.step()
        if self.averages:
            self.averages.update(step)
        return loss.item()

    def finished(self) -> AbstractContextManager[None]:
        """While it is open the network holds the weights of the finished model."""
        return self.averages.applied() if self.averages else nullcontext()

    def state_dict(self) -> dict[str, Any]:
        """All that `learn` changes."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes back to a state.

        Args:
            state: what `state_dict` gave.
        """
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _targets(self, batch: Batch, ids: Tensor, mask: Tensor) -> Tensor | None:
        """What teachers say of a batch: those that are here, else those that were asked before."""
        if self.teachers:
            return self.teachers.targets(ids, mask)
        return None if batch.targets is None else batch.targets.to(self.device)

    def _parts(self) -> dict[str, Any]:
        parts = {
            "network": self.network,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "averages": self.averages,
            "features": self.features,
        }
        return {name: part for name, part in parts.items() if part is not None}


def new_learner(network: Network, recipe: Recipe, steps: int) -> Learner:
    """A learner at its first step.

    Args:
        network: made by `new_network`.
        recipe: the settings.
        steps: of the whole run.
    """
    device = device_of(recipe)
    network.to(device)  # type: ignore[arg-type]  # the wrapper's annotation loses self
    optimizer = new_optimizer(network, recipe)
    return Learner(
        network,
        optimizer,
        new_schedule(optimizer, steps, recipe.warmup_share),
        AveragedWeights(network, recipe.average_decay) if recipe.average_decay else None,
        Teachers.load(recipe.teachers, device, bfloat16=recipe.bfloat16)
        if recipe.teachers
        else None,
        recipe.teachers_share,
        FeatureLearning(network.config.hidden_size, recipe.features_share, steps, device)
        if recipe.features_share
        else None,
        device,
        recipe.bfloat16,
        recipe.gradient_norm_limit,
    )
