"""What the command `search` does: data to the best recipe, its trials tracked."""

from dataclasses import asdict, dataclass
from pathlib import Path

from training.code_version import code_version
from training.commands import Workplace
from training.recipe import Recipe
from training.search import Outcome, Search, run_search
from training.search_space import check_unvaried, effective, read_space
from training.tracking import open_store


@dataclass(frozen=True, slots=True)
class Searching:
    """What to search, and where it is kept."""

    folder: Path  # of the study; the tracking store is beside it
    space: Path
    trials: int
    workers: int
    is_tracked: bool
    given: tuple[str, ...]  # settings of the base that someone chose


def run_searching(place: Workplace, base: Recipe, options: Searching) -> None:
    """Searches, prints what was found, and keeps it in the tracking store.

    Args:
        place: where the data is.
        base: the settings that are not varied.
        options: what to search.

    Raises:
        SpaceInvalid: the space varies a setting that was given.
    """
    space = read_space(options.space)
    check_unvaried(space, options.space, options.given)
    space = effective(space, options.space, base)
    search = Search(
        data=place.data,
        folder=options.folder,
        space=space,
        base=base,
        sets=place.sets,
        drop_duplicates=place.drop_duplicates,
    )
    outcome = run_search(search, options.trials, options.workers)
    print(
        f"{outcome.finished} trials, {outcome.finished - len(outcome.values)} of them ended early;"
        f" the best is {outcome.best.trial}: mean dev F1 {outcome.best.mean_f1:.2f}"
    )
    if options.is_tracked:
        _track(options, base, outcome)
    print(f"train it: python -m training fine-tune --data DIR --from-study {outcome.best_file}")


def _track(options: Searching, base: Recipe, outcome: Outcome) -> None:
    settings = {f"base.{name}": str(value) for name, value in asdict(base).items()}
    best = {f"best.{name}": str(value) for name, value in asdict(outcome.best.recipe).items()}
    tags = {"mlflow.source.git.commit": code_version().commit or "unknown"}
    store = open_store(options.folder.absolute().parent)
    with store.begin(options.folder.name, settings | best, tags) as tracked:
        for trial, mean_f1 in outcome.values.items():
            tracked.log_figures({"trial.mean_f1": mean_f1}, trial)
        tracked.log_figures({"best.mean_f1": outcome.best.mean_f1}, outcome.best.trial)
        tracked.log_files([*outcome.files, options.space], "search")
        print(f"run {tracked.run_id}: {len(outcome.files)} files of the study")
