"""The gate: a quantized model that lost too much of its quality is refused.

What is compared is the mean F1 over the evaluated sets, not the F1 of one. Both models read the
same sentences, so that only the spans on which they differ carry noise; yet the loss on one dev
split of 400 to 1,100 spans has a standard error of 0.3 to 0.5 of F1 (1,000 resamplings of its
sentences), more than the limit itself. The mean of the six English sets has 0.16, and still moves
when any one kind of text is damaged. The limit therefore tells damage from rounding; it does not
tell two sound quantizations apart.
"""

from training.evaluation import Quality

# Of F1, from float32 to int8.
LARGEST_LOSS = 0.2
# F1 is a float: a loss of the limit itself must not be refused for its last digit.
_ROUNDING = 1e-9


class GateRefused(Exception):
    """Quantization lost too much; the message says how much, and what is allowed."""


def check(float32: Quality, int8: Quality, limit: float = LARGEST_LOSS) -> None:
    """Refuses a quantized model that is more than a limit worse than its float32 form.

    Args:
        float32: mean over the evaluated sets, from `mean_quality`.
        int8: the same of the quantized file, on the same sets.
        limit: largest loss of F1, in points of percent.

    Raises:
        GateRefused: the loss is above the limit.
    """
    if int8.support != float32.support:
        raise ValueError("the two models were measured on different spans")
    loss = float32.f1 - int8.f1
    if loss > limit + _ROUNDING:
        raise GateRefused(
            f"int8 lost {loss:.2f} of F1 against float32 ({float32.f1:.2f} to {int8.f1:.2f}, mean"
            f" over the sets), allowed {limit:.2f}: keep sensitive layers in float32, or raise"
            " --largest-loss if the sets are too small to tell"
        )
