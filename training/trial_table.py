"""`trials.csv`: every trial of a study, its recipe and what it came to."""

import csv
from pathlib import Path

import optuna

TABLE_FILE = "trials.csv"


def write_trials(study: optuna.Study, folder: Path) -> Path:
    """Writes the table.

    Args:
        study: any.
        folder: gets the file.

    Returns:
        The file: a row a trial; a pruned one has its last value.
    """
    trials = study.get_trials(deepcopy=False)
    varied = sorted({name for trial in trials for name in trial.params})
    path = folder / TABLE_FILE
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["trial", "state", "mean_f1", *varied])
        for trial in trials:
            values = [trial.params.get(name, "") for name in varied]
            table.writerow([trial.number, trial.state.name.lower(), trial.value, *values])
    return path
