"""The loss of labels that are only partly known, with and without teachers."""

import torch
from torch import Tensor


def marginal_loss(logits: Tensor, allowed: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of -log p(one of the allowed labels) over the tokens that rule out a label.

    One allowed label gives the plain cross entropy. Where a set does not annotate MISC, its O
    allows O, B-MISC and I-MISC: the model is not taught that such mentions are no names. A token
    that allows every label, padding for one, adds nothing.

    Args:
        logits: float32 [batch, tokens, labels].
        allowed: bool [batch, tokens, labels]; at least one true in each row.
        weights: of each token, float32 [batch, tokens].

    Returns:
        A scalar; 0 when no token rules out a label.

    Source: Tsuboi et al., Training Conditional Random Fields Using Incomplete Annotations (2008);
    here for each token by itself.
    """
    return _mean(_marginal(logits, allowed), weights * ~allowed.all(-1))


def taught_loss(
    logits: Tensor, allowed: Tensor, targets: Tensor, weights: Tensor, share: float
) -> Tensor:
    """The marginal loss where teachers were not asked; where they were, it and their cross entropy.

    Args:
        logits: float32 [batch, tokens, labels].
        allowed: bool [batch, tokens, labels]; at least one true in each row.
        targets: probabilities of the teachers, float32 [batch, tokens, labels]; all 0 where they
            were not asked.
        weights: of each token, float32 [batch, tokens].
        share: of the teachers where they were, [0, 1]; the rest is the annotation's.

    Returns:
        A scalar: the weighted mean over the tokens that the annotation or the teachers say
        something of; 0 when there is none.

    Source: Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network (2015).
    """
    asked = targets.any(-1)
    annotated = _marginal(logits, allowed)
    taught = -(targets * logits.log_softmax(-1)).sum(-1)
    losses = torch.where(asked, torch.lerp(annotated, taught, share), annotated)
    return _mean(losses, weights * (asked | ~allowed.all(-1)))


def _marginal(logits: Tensor, allowed: Tensor) -> Tensor:
    possible = logits.masked_fill(~allowed, -torch.inf)
    return logits.logsumexp(-1) - possible.logsumexp(-1)


def _mean(losses: Tensor, weights: Tensor) -> Tensor:
    return (losses * weights).sum() / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)
