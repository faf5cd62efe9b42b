"""Distillation: what trained models think of a batch, for another to learn beside the annotation.

Several models that were trained apart are wrong in different places, so that their mean is right
more often than any of them. One model that learns the mean costs what one model costs. Where a set
does not annotate a type, the teachers' mean says where it occurs.

Source: Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network (2015).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from training.checkpoint import (
    CheckpointInvalid,
    load_cased,
    load_tokenizer,
    vocabulary_of,
)
from training.network import Network


@dataclass(frozen=True, slots=True, eq=False)
class Teachers:
    """Trained networks that are asked together; their weights never move."""

    networks: Sequence[Network]
    vocabulary: str  # digest of the tokenizer, which is the same for all
    device: torch.device
    bfloat16: bool

    @classmethod
    def load(cls, folders: Sequence[str], device: torch.device, *, bfloat16: bool = False) -> Self:
        """Reads checkpoints.

        Args:
            folders: of `training.checkpoint`; at least one.
            device: where they are asked.
            bfloat16: multiply in it; probabilities and their mean stay float32.

        Raises:
            CheckpointInvalid: a folder is not a checkpoint, or they are of several vocabularies.
        """
        vocabularies = [vocabulary_of(load_tokenizer(Path(folder))) for folder in folders]
        for folder, vocabulary in zip(folders, vocabularies, strict=True):
            if vocabulary != vocabularies[0]:
                raise CheckpointInvalid(
                    f"{folder}: reads other tokens than {folders[0]}: only teachers of one"
                    " vocabulary can be asked together"
                )
        networks = [load_cased(Path(folder)) for folder in folders]
        for network in networks:
            network.to(device)  # type: ignore[arg-type]  # the wrapper's annotation loses self
        return cls(networks, vocabularies[0], device, bfloat16)

    def targets(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The mean of the teachers' distributions.

        Args:
            ids: int64 [batch, tokens], on any device.
            mask: int64 [batch, tokens], 0 for padding.

        Returns:
            Probabilities, float32 [batch, tokens, labels], all 0 for padding; on the teachers'
            device.
        """
        outputs = self._asked(self.networks, ids, mask)
        distributions = [output.logits.float().softmax(-1) for output in outputs]
        return torch.stack(distributions).mean(0) * mask.to(self.device).unsqueeze(-1)

    def states(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        """The distributions of the first teacher, and what its layers hold.

        Args:
            ids: int64 [batch, tokens], on any device.
            mask: int64 [batch, tokens], 0 for padding.

        Returns:
            Probabilities, as `targets` gives them; the output of the embeddings and of each layer,
            [batch, tokens, hidden] each.
        """
        [output] = self._asked(self.networks[:1], ids, mask, output_hidden_states=True)
        distributions = output.logits.float().softmax(-1)
        return distributions * mask.to(self.device).unsqueeze(-1), output.hidden_states

    def _asked(
        self, networks: Sequence[Network], ids: Tensor, mask: Tensor, **wanted: bool
    ) -> list[Any]:
        ids, mask = ids.to(self.device), mask.to(self.device)
        autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)
        with torch.no_grad(), autocast:
            return [network(input_ids=ids, attention_mask=mask, **wanted) for network in networks]
