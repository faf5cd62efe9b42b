"""Early stopping: which epoch is the best so far, and whether another is worth learning."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BestEpoch:
    """The best epoch so far."""

    epoch: int = 0  # from 1; 0 before the first
    mean_f1: float = -1.0  # in percent, over the dev sets

    def after(self, epoch: int, mean_f1: float) -> "BestEpoch":
        """The best once another epoch is known; of equals, the earlier.

        Args:
            epoch: from 1.
            mean_f1: in percent.
        """
        return BestEpoch(epoch, mean_f1) if mean_f1 > self.mean_f1 else self

    def ends(self, epoch: int, patience: int) -> bool:
        """Whether training ends after this epoch.

        Args:
            epoch: from 1, the last that was learned.
            patience: epochs in a row without a better one that end it; 0: none ever do.
        """
        return 0 < patience <= epoch - self.epoch
