"""The loss of labels that are only partly known."""

import torch
from torch import Tensor


def marginal_loss(logits: Tensor, allowed: Tensor) -> Tensor:
    """Mean of -log p(one of the allowed labels) over the tokens that rule out a label.

    One allowed label gives the plain cross entropy. Where a set does not annotate MISC, its O
    allows O, B-MISC and I-MISC: the model is not taught that such mentions are no names. A token
    that allows every label, padding for one, adds nothing.

    Args:
        logits: float32 [batch, tokens, labels].
        allowed: bool [batch, tokens, labels]; at least one true in each row.

    Returns:
        A scalar; 0 when no token rules out a label.

    Source: Tsuboi et al., Training Conditional Random Fields Using Incomplete Annotations (2008);
    here for each token by itself.
    """
    possible = logits.masked_fill(~allowed, -torch.inf)
    losses = logits.logsumexp(-1) - possible.logsumexp(-1)
    known = ~allowed.all(-1)
    return losses[known].sum() / known.sum().clamp(min=1)
