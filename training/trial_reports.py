"""A trial's reports: its epochs, passed on to the study that may end it."""

import optuna

from training.fine_tune import EpochReport, StopTraining
from training.recipe import Recipe

_METRIC = "mean_f1"
_QUARTER = 25  # percent


class Reports:
    """Passes a trial's epochs on to the study, and ends the run where they are below the median.

    Args:
        trial: of the study.
        recipe: that the trial tries.
    """

    def __init__(self, trial: optuna.Trial, recipe: Recipe) -> None:
        self._trial = trial
        self._recipe = recipe
        self._values: list[float] = []
        self._reported = 0
        self.pruned = False

    @property
    def value(self) -> float:
        """Of the model that the run leaves: with patience the best epoch's, else the last's."""
        return max(self._values) if self._recipe.patience else self._values[-1]

    def take(self, report: EpochReport) -> None:
        """Takes an epoch's report.

        Args:
            report: of the next epoch.

        Raises:
            StopTraining: the trial is not worth going on.
        """
        self._values.append(report.metrics[_METRIC])
        # By the share of the run, in percent: trials may differ in epochs, and the learning rate
        # falls to zero over all of a run's. In quarters, which trials of all lengths pass.
        epochs = self._recipe.epochs
        passed = 100 * report.epoch // epochs // _QUARTER * _QUARTER
        if passed == self._reported:
            return
        self._reported = passed
        self._trial.report(self._values[-1], passed)
        if report.epoch < epochs and self._trial.should_prune():
            self.pruned = True
            raise StopTraining
