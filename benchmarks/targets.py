"""What the service promises, and which of it a benchmark did not see hold."""

from typing import Final

from benchmarks.report import Report
from benchmarks.scenario import Kind

LEAST_OF_CEILING: Final = {Kind.GRPC: 0.95, Kind.REST: 0.90}
AT_CALLERS: Final = (32, 128)
MOST_ADDED_MS: Final = 1.5
MOST_P99_RATIO: Final = 3.0


def missed(report: Report) -> list[str]:
    """Says which targets are missed, one line each; what was not measured is not judged."""
    return [*_slow(report), *_late(report), *_crowded_out(report), *_overflowing(report)]


def _slow(report: Report) -> list[str]:
    return [
        f"{row.scenario.name}, {callers} callers: {row.of_ceiling:.2f} of the ceiling,"
        f" not {least:.2f}"
        for kind, least in LEAST_OF_CEILING.items()
        for callers in AT_CALLERS
        if (row := report.row(kind, callers)) is not None and row.of_ceiling < least
    ]


def _late(report: Report) -> list[str]:
    alone_ms = report.alone.best_p50_ms
    return [
        f"{row.scenario.name}, one caller: p50 {p50_ms:.2f} ms is more than {MOST_ADDED_MS} ms"
        f" above the {alone_ms:.2f} ms in process"
        for kind in LEAST_OF_CEILING
        if (row := report.row(kind, 1)) is not None
        and (p50_ms := row.measurement.load.p50_ms) > alone_ms + MOST_ADDED_MS
    ]


def _crowded_out(report: Report) -> list[str]:
    return [
        f"{one.way}, interactive beside bulk: p99 {one.beside_bulk.p99_ms:.1f} ms is"
        f" {one.p99_ratio:.1f} times the {one.idle.p99_ms:.1f} ms on an idle server,"
        f" not at most {MOST_P99_RATIO:.0f}"
        for one in report.interactive
        if one.p99_ratio > MOST_P99_RATIO
    ]


def _overflowing(report: Report) -> list[str]:
    many = report.many_models
    if many is None or many.holds:
        return []
    return [f"many models held {many.held_mib:.0f} MiB, bound to {many.bound_mib:.0f} MiB"]
