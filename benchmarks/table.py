"""The report as a table in Markdown; the lines are aligned, so that a terminal shows it too."""

from collections.abc import Mapping, Sequence

from benchmarks.ceiling import Ceiling
from benchmarks.report import Report, Row

_HEAD = (
    "way", "corpus", "loop", "callers", "sentences/s", "of ceiling", "by CPU", "p50 ms", "p90 ms",
    "p99 ms", "CPU s/1000: inference", "gateway", "load generator", "padding", "batch",
    "MiB: inference", "gateway", "others' CPU",
)  # fmt: skip
_INTERACTIVE_HEAD = (
    "way", "p50 ms idle", "p99 ms idle", "p50 ms beside bulk", "p99 ms beside bulk", "p99 ratio",
    "bulk sentences/s",
)  # fmt: skip


_LEGEND = (
    "Of the ceiling, which was measured right before and right after each line: sentences a second;"
    " by CPU the ceiling's processor seconds as a share of the services',"
    " which others on the machine hardly change. CPU seconds are for 1,000 sentences, of"
    " all processes of a service; memory is the most that a service held since its start. Latencies"
    " of open loops count from the instant at which a call was meant to be sent. Others' CPU is the"
    " share of the machine's processors that went to processes outside of the benchmark."
)


def scenario_line(row: Row) -> tuple[str, ...]:
    """The cells of one scenario."""
    scenario, measured = row.scenario, row.measurement
    load = measured.load
    return (
        scenario.name,
        scenario.corpus,
        scenario.loop,
        str(scenario.callers),
        f"{load.sentences_per_s:.0f}",
        f"{row.of_ceiling:.2f}",
        f"{row.cpu_of_ceiling:.2f}",
        f"{load.p50_ms:.1f}",
        f"{load.p90_ms:.1f}",
        f"{load.p99_ms:.1f}",
        f"{row.per_thousand(measured.inference_cpu_s):.2f}",
        f"{row.per_thousand(measured.gateway_cpu_s):.2f}",
        f"{row.per_thousand(load.generator_cpu_s):.3f}",
        f"{measured.padding_share:.1%}",
        f"{measured.mean_batch:.1f}",
        f"{measured.inference_peak_mib:.0f}",
        f"{measured.gateway_peak_mib:.0f}",
        f"{measured.others_share:.0%}",
    )


def progress(ceilings: Mapping[str, Ceiling], row: Row | None = None) -> str:
    """What to print when something has been measured: a scenario, or else the ceilings."""
    if row is None:
        rates = (f"{name} {one.texts_per_s[-1]:.0f}/s" for name, one in ceilings.items())
        return "ceiling: " + ", ".join(rates)
    load = row.measurement.load
    return (
        f"{row.scenario.name:22} {row.scenario.corpus:9} {row.scenario.loop:24}"
        f" {row.scenario.callers:3} callers {load.sentences_per_s:6.0f}/s {row.of_ceiling:5.2f}"
        f"  p50 {load.p50_ms:7.1f} ms  p99 {load.p99_ms:7.1f} ms"
    )


def markdown(report: Report, missed: Sequence[str]) -> str:
    """The whole report.

    Args:
        report: the figures.
        missed: targets, one line each.
    """
    machine = report.machine
    parts = [
        "# Benchmark",
        f"{machine['cpu']}, {machine['cores']} cores, commit {machine['commit']}"
        f" ({machine['date']}), {report.model}, seed {report.seed}; `make bench`."
        f" Python {machine['python']}, onnxruntime {machine['onnxruntime']},"
        f" grpcio {machine['grpcio']}.",
        _ceilings(report),
    ]
    if report.rows:
        parts.append(_aligned(_HEAD, [scenario_line(row) for row in report.rows]))
        parts.append(_LEGEND)
    if report.interactive:
        parts.append("Single texts, 25 a second, on an idle service and beside bulk calls:")
        parts.append(_aligned(_INTERACTIVE_HEAD, _interactive_lines(report)))
    if report.many_models:
        parts.append(f"{report.many_models.sentence}.")
    parts += [f"Left out: {line}." for line in report.left_out]
    parts += [f"Failed: {line}." for line in report.failed]
    parts.append(
        "Missed:\n\n" + "\n".join(f"- {line}" for line in missed)
        if missed
        else "No target that was measured is missed."
    )
    return "\n\n".join(parts) + "\n"


def _ceilings(report: Report) -> str:
    lines = [
        f"- {name}: {one.rate_per_s:.0f} texts/s in process"
        f" ({_range(one.texts_per_s, 0)}; {_range(one.cpu_s_per_1000)} CPU s"
        f" for 1,000; {one.workers} workers of"
        f" {one.threads_per_worker} threads, batches of {one.batching})"
        for name, one in report.ceilings.items()
    ]
    alone = report.alone
    one_ms, all_ms = _times(alone.one_thread_p50_ms), _times(alone.all_cores_p50_ms)
    lines.append(f"- one sentence at a time: p50 {one_ms} ms on one thread, {all_ms} ms on all")
    return "The ceiling:\n\n" + "\n".join(lines)


def _times(figures: Sequence[float], digits: int = 2) -> str:
    """What was measured several times, in order."""
    return " then ".join(f"{figure:.{digits}f}" for figure in figures)


def _range(figures: Sequence[float], digits: int = 2) -> str:
    """The least and the most of what was measured several times."""
    return f"{min(figures):.{digits}f} to {max(figures):.{digits}f}"


def _interactive_lines(report: Report) -> list[tuple[str, ...]]:
    return [
        (
            one.way,
            f"{one.idle.p50_ms:.1f}",
            f"{one.idle.p99_ms:.1f}",
            f"{one.beside_bulk.p50_ms:.1f}",
            f"{one.beside_bulk.p99_ms:.1f}",
            f"{one.p99_ratio:.1f}",
            f"{one.bulk.sentences_per_s:.0f}",
        )
        for one in report.interactive
    ]


def _aligned(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    rule = ["-" * (width - 1) + ":" for width in widths]
    rule[0] = "-" * widths[0]
    return "\n".join(
        "| "
        + " | ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        + " |"
        for cells in (head, rule, *lines)
    )
