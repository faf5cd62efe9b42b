"""The report as a picture: shares of the ceiling, and latencies, by the number of callers."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.report import Report, Row
from benchmarks.scenario import Kind
from benchmarks.targets import AT_CALLERS, LEAST_OF_CEILING

# Told apart by those who see colours otherwise too (Okabe and Ito 2008).
_COLOURS = {
    Kind.GRPC: "#0072B2",
    Kind.STREAM: "#56B4E9",
    Kind.REST: "#D55E00",
    Kind.BULK: "#E69F00",
}


def write_plot(report: Report, path: Path) -> None:
    """Draws the closed loops on the sentences.

    Args:
        report: the figures.
        path: a PNG.
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    shares, latencies = figure.subplots(1, 2)
    by_kind = _by_kind(report)
    for kind, rows in by_kind.items():
        callers = [row.scenario.callers for row in rows]
        colour, name = _COLOURS[kind], rows[0].scenario.name
        shares.plot(callers, [row.of_ceiling for row in rows], "o-", color=colour, label=name)
        loads = [row.measurement.load for row in rows]
        latencies.plot(callers, [load.p50_ms for load in loads], "o-", color=colour, label=name)
        latencies.plot(callers, [load.p99_ms for load in loads], "o:", color=colour)
    for kind, least in LEAST_OF_CEILING.items():
        shares.plot(AT_CALLERS, [least] * 2, color=_COLOURS[kind], linewidth=5, alpha=0.25)
    shares.axhline(1, color="black", linewidth=0.8)
    shares.set(ylabel="sentences/s, share of the in-process ceiling", ylim=(0, 1.1))
    latencies.set(ylabel="ms: p50 (line), p99 (dots)", yscale="log")
    for axes in (shares, latencies):
        _finish(axes, sorted({row.scenario.callers for rows in by_kind.values() for row in rows}))
    machine = report.machine
    figure.suptitle(
        f"{machine['cpu']}, {machine['cores']} cores, {machine['commit']}, {machine['date']};"
        " broad bars: targets",
        fontsize=9,
    )
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _by_kind(report: Report) -> dict[Kind, list[Row]]:
    found: dict[Kind, list[Row]] = {}
    for row in report.rows:
        if (
            row.scenario.kind in _COLOURS
            and row.scenario.ceiling_share is None
            and row.scenario.corpus == "sentences"
        ):
            found.setdefault(row.scenario.kind, []).append(row)
    return found


def _finish(axes: Axes, callers: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(callers, [str(number) for number in callers])
    axes.minorticks_off()
    axes.set_xlabel("callers")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
