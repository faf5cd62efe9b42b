"""Whether a service kept what it should have given back: the decision, from samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Final

MOST_GROWTH: Final = 0.02
# gRPC's pool has some threads more after a busy moment, and lets them go when it likes; a leak
# grows with the calls.
SPARE_THREADS: Final = 2
# With fewer samples a quarter says nothing.
FEWEST_SAMPLES: Final = 40


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a service holds while nobody calls it."""

    threads: int
    descriptors: int
    calls_in_flight: int
    tasks: int | None = None  # of its event loop, where its metrics say so


def kept(service: str, start: Holdings, end: Holdings) -> list[str]:
    """Says what a service holds more of than at the start, one line each.

    Args:
        service: its name.
        start: after a warm-up, idle.
        end: after the soak, idle.
    """
    pairs = {
        "threads": (start.threads, end.threads),
        "file descriptors": (start.descriptors, end.descriptors),
        "calls in flight": (start.calls_in_flight, end.calls_in_flight),
        "asyncio tasks": (start.tasks or 0, end.tasks or 0),
    }
    return [
        f"{service}: {name} went from {before} to {after}"
        for name, (before, after) in pairs.items()
        if after > before + (SPARE_THREADS if name == "threads" else 0)
    ]


def grown(memory_mib: Mapping[str, Sequence[float]]) -> list[str]:
    """Says whose memory is not flat: the last quarter's mean against the second quarter's.

    Less memory at the end is no leak. Too few samples are not judged.

    Args:
        memory_mib: samples by service, evenly over the soak.
    """
    lines = []
    for service, samples in memory_mib.items():
        if len(samples) < FEWEST_SAMPLES:
            continue
        second, last = quarter(samples, 1), quarter(samples, 3)
        if last > second * (1 + MOST_GROWTH):
            lines.append(
                f"{service}: memory grew from {second:.1f} MiB in the second quarter"
                f" to {last:.1f} MiB in the last"
            )
    return lines


def quarter(samples: Sequence[float], index: int) -> float:
    """The mean of a quarter of the samples, counted from 0."""
    size = len(samples) // 4
    return mean(samples[index * size : (index + 1) * size])
