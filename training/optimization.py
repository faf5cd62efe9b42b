"""Optimization: how far each weight moves in a step."""

from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from training.network import Network, cased_embedding
from training.recipe import Recipe


def new_optimizer(network: Network, recipe: Recipe) -> AdamW:
    """AdamW; no decay for biases and norms; a higher rate and no decay for the head and for case,
    but that in a model that is trained already their rate is that of the others.

    Args:
        network: made by `new_network`.
        recipe: the settings.
    """
    new = [*network.classifier.parameters(), cased_embedding(network).case]
    known = {id(parameter) for parameter in new}
    old = [parameter for parameter in network.parameters() if id(parameter) not in known]
    rate = recipe.learning_rate
    new_rate = rate if recipe.begin_with else rate * recipe.new_parameter_factor
    return AdamW(
        [
            {"params": new, "lr": new_rate, "weight_decay": 0.0},
            {"params": [p for p in old if p.dim() == 1], "lr": rate, "weight_decay": 0.0},
            {
                "params": [p for p in old if p.dim() > 1],
                "lr": rate,
                "weight_decay": recipe.weight_decay,
            },
        ],
        fused=True,
    )


def new_schedule(optimizer: AdamW, steps: int, warmup_share: float) -> LambdaLR:
    """The learning rate: up in a line, then down in a line to zero.

    Args:
        optimizer: its rates are the highest.
        steps: of the whole run.
        warmup_share: of the steps, [0, 1].
    """
    return LambdaLR(optimizer, lambda step: rate_share(step, steps, warmup_share))


def rate_share(step: int, steps: int, warmup_share: float) -> float:
    """Share of the highest learning rate.

    Args:
        step: how many were made before; from 0.
        steps: of the whole run.
        warmup_share: of the steps, [0, 1].
    """
    warmup = max(1, round(steps * warmup_share))
    return min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))
