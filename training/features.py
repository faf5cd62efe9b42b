"""Features: what a teacher's hidden layers hold of a token, for a student's to come near to.

A distribution over labels says little of the tokens that are no names, which most are. A hidden
layer says of every token what the teacher makes of it. Two layers are kept, in the directions in
which they vary most: one at three quarters of the teacher's depth, and the last. The student's last
two layers learn to tell them, through matrices that are thrown away at the end. It is a way to
begin, not an aim: the weight of it falls to zero before the run ends.

Source: Sun et al., Patient Knowledge Distillation for BERT Model Compression (2019); Jiao et al.,
TinyBERT (2020).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from training.data import LABELS

_DIMENSIONS = (128, 64)  # kept of the two layers
FEATURES = sum(_DIMENSIONS)
_DEPTH = 0.75  # of the first of the teacher's layers
# Half way between none (0), where few directions are nearly all of the loss, and all (-0.5).
_WHITENING = -0.25
_LEAST_VARIANCE = 1e-8
# What the tensors of each layer are called in a file.
_CENTER, _DIRECTIONS = "center.{}", "directions.{}"
_HEADS_RATE = 3e-3
# At first the matrices alone learn: what they send back before is noise.
_HEADS_ALONE = 1 / 60  # of the steps
_LEARNED_UNTIL = 0.875  # of the steps


@dataclass(frozen=True, slots=True, eq=False)
class FeatureBasis:
    """The directions of a teacher's two layers that are kept."""

    centers: tuple[Tensor, ...]  # float32 [hidden] of each layer
    directions: tuple[Tensor, ...]  # float32 [hidden, dimensions] of each layer

    @classmethod
    def fit(cls, layers: Sequence[Tensor]) -> Self:
        """The principal components of layers.

        Args:
            layers: of a sample of tokens, float32 [tokens, hidden] of each.
        """
        centers = tuple(layer.mean(0) for layer in layers)
        directions = tuple(
            _directions(layer - center, dimensions)
            for layer, center, dimensions in zip(layers, centers, _DIMENSIONS, strict=True)
        )
        return cls(centers, directions)

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> Self | None:
        """Reads what `tensors` gave.

        Args:
            tensors: by name, others among them; None comes of those without a basis.
        """
        layers = range(len(_DIMENSIONS))
        if _CENTER.format(0) not in tensors:
            return None
        return cls(
            tuple(tensors[_CENTER.format(i)] for i in layers),
            tuple(tensors[_DIRECTIONS.format(i)] for i in layers),
        )

    def tensors(self) -> dict[str, Tensor]:
        """All of it by name, to be kept in a file."""
        centers = {_CENTER.format(i): center.cpu() for i, center in enumerate(self.centers)}
        directions = {_DIRECTIONS.format(i): d.cpu() for i, d in enumerate(self.directions)}
        return centers | directions

    @property
    def digest(self) -> str:
        """Features of one digest mean the same."""
        parts = b"".join(part.numpy().tobytes() for part in self.tensors().values())
        return hashlib.sha256(parts).hexdigest()

    def project(self, layers: Sequence[Tensor]) -> Tensor:
        """The features of tokens.

        Args:
            layers: float32 [..., hidden] of each.

        Returns:
            float32 [..., FEATURES]; over the sample the mean square of a layer's is 1.
        """
        parts = [
            (layer - center.to(layer.device)) @ directions.to(layer.device)
            for layer, center, directions in zip(layers, self.centers, self.directions, strict=True)
        ]
        return torch.cat(parts, -1)


def _directions(centered: Tensor, dimensions: int) -> Tensor:
    """A smaller layer than there are dimensions has features that are always 0."""
    values, vectors = torch.linalg.eigh(centered.T @ centered / len(centered))
    kept = min(dimensions, len(values))
    values, vectors = values.flip(-1)[:kept], vectors.flip(-1)[:, :kept]
    directions = vectors * values.clamp(min=_LEAST_VARIANCE) ** _WHITENING
    size = (centered @ directions).square().sum(-1).mean().div(dimensions).sqrt()
    padded = torch.zeros(len(vectors), dimensions, device=centered.device)
    padded[:, :kept] = directions / size.clamp(min=_LEAST_VARIANCE)
    return padded


def feature_layers(hidden_states: Sequence[Tensor]) -> list[Tensor]:
    """The teacher's layers that features are taken from.

    Args:
        hidden_states: of the embeddings and each layer, [batch, tokens, hidden].
    """
    return [
        hidden_states[round(_DEPTH * (len(hidden_states) - 1))].float(),
        hidden_states[-1].float(),
    ]


class FeatureLearning:
    """The matrices that tell features from the student's layers, and what moves them.

    Args:
        hidden: size of the student's layers.
        share: weight of the loss at the start.
        steps: of the whole run.
        device: where the student learns.
    """

    def __init__(self, hidden: int, share: float, steps: int, device: torch.device) -> None:
        self._heads = nn.ModuleList(nn.Linear(hidden, d) for d in _DIMENSIONS).to(device)
        self._optimizer = AdamW(self._heads.parameters(), lr=_HEADS_RATE, weight_decay=0.0)
        self._share = share
        self._steps = steps

    def weight(self, step: int) -> float:
        """Of the loss.

        Args:
            step: how many were made before.
        """
        return self._share * max(0.0, 1 - step / (_LEARNED_UNTIL * self._steps))

    def loss(self, hidden_states: Sequence[Tensor], targets: Tensor, step: int) -> Tensor:
        """The weighted sum, over the two layers, of the mean square that is not told.

        Args:
            hidden_states: of the student, [batch, tokens, hidden] each.
            targets: float32 [batch, tokens, labels + FEATURES]; labels all 0: nobody was asked.
            step: how many were made before.
        """
        asked = targets[..., : len(LABELS)].any(-1) & targets[..., len(LABELS) :].any(-1)
        if not asked.any():
            return targets.new_zeros(())
        layers = [layer.float()[asked] for layer in hidden_states[-2:]]
        if step < _HEADS_ALONE * self._steps:
            layers = [layer.detach() for layer in layers]
        wanted = torch.split(targets[asked][:, len(LABELS) :], list(_DIMENSIONS), -1)
        errors = [
            (head(layer) - features).square().mean()
            for head, layer, features in zip(self._heads, layers, wanted, strict=True)
        ]
        return self.weight(step) * torch.stack(errors).sum()

    def step(self) -> None:
        """Moves the matrices."""
        self._optimizer.step()
        self._optimizer.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """All that `step` changes."""
        return {"heads": self._heads.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes back to a state.

        Args:
            state: what `state_dict` gave.
        """
        self._heads.load_state_dict(state["heads"])
        self._optimizer.load_state_dict(state["optimizer"])
