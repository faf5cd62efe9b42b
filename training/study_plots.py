"""Plots of a study: how its best trial came about, and which fields mattered."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import optuna
import plotly.graph_objects as go  # type: ignore[import-untyped]  # ships no types
from matplotlib.figure import Figure

from training.study import values

# Plotly's own name for it.
_SCRIPT_FILE = "plotly.min.js"
_AXIS = "mean dev F1, percent"


@dataclass(frozen=True, slots=True)
class _History:
    numbers: Sequence[int]  # of the finished trials
    values: Sequence[float]
    best: Sequence[float]  # so far


def write_plots(study: optuna.Study, folder: Path) -> Iterator[Path]:
    """Writes `history` and, from two finished trials on, `importance`, each as PNG and HTML.

    Args:
        study: with a finished trial.
        folder: gets the files, and the script that the HTML files load.

    Yields:
        The files, the script among them.
    """
    history = _history(study)
    yield _history_png(history, folder / "history.png")
    yield _html(_history_figure(history), folder / "history.html")
    yield folder / _SCRIPT_FILE
    importance = _importance(study)
    if importance:
        yield _importance_png(importance, folder / "importance.png")
        yield _html(_importance_figure(importance), folder / "importance.html")


def _history(study: optuna.Study) -> _History:
    by_number = values(study)
    best = accumulate(by_number.values(), max)
    return _History(list(by_number), list(by_number.values()), list(best))


def _importance(study: optuna.Study) -> Mapping[str, float]:
    """The share of each field, the least first; empty where the trials do not tell."""
    if len(set(values(study).values())) < 2:
        return {}
    shares = optuna.importance.get_param_importances(
        study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
    )
    return dict(sorted(shares.items(), key=lambda item: item[1]))


def _history_png(history: _History, path: Path) -> Path:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(history.numbers, history.values, "o", label="trial")
    axes.plot(history.numbers, history.best, label="best so far")
    axes.set(xlabel="trial", ylabel=_AXIS)
    axes.legend()
    figure.savefig(path)
    return path


def _importance_png(importance: Mapping[str, float], path: Path) -> Path:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.barh(list(importance), list(importance.values()))
    axes.set(xlabel="share of the variation of F1")
    figure.savefig(path)
    return path


def _history_figure(history: _History) -> go.Figure:
    numbers = list(history.numbers)
    figure = go.Figure(
        [
            go.Scatter(x=numbers, y=list(history.values), mode="markers", name="trial"),
            go.Scatter(x=numbers, y=list(history.best), mode="lines", name="best so far"),
        ]
    )
    return figure.update_layout(xaxis_title="trial", yaxis_title=_AXIS)


def _importance_figure(importance: Mapping[str, float]) -> go.Figure:
    bars = go.Bar(x=list(importance.values()), y=list(importance), orientation="h")
    return go.Figure([bars]).update_layout(xaxis_title="share of the variation of F1")


def _html(figure: go.Figure, path: Path) -> Path:
    # One script beside the files, so that they open without a network.
    figure.write_html(path, include_plotlyjs="directory")
    return path
