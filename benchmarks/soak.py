"""`python -m benchmarks.soak`: many calls, right and wrong ones; fails when a service keeps any.

Callers that go away, deadlines of a millisecond, empty and far too long texts, malformed bodies
and unknown models come among sentences and pages, by REST and gRPC at the same time. At the end
threads, descriptors and calls in flight must be what they were, and memory flat.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from benchmarks.counters import Counters
from benchmarks.leaks import FEWEST_SAMPLES, Holdings, grown, kept, quarter
from benchmarks.measurement import ScenarioFailed, generating, load_of
from benchmarks.plan import Plan
from benchmarks.services import Service, Services, started
from benchmarks.ways import Way

_ROOT = Path(__file__).parent.parent
_REQUESTS = 100_000
# First uses make threads, arenas and caches, so the start is what is held after these.
_WARM_UP_SHARE = 0.02
_LEAST_WARM_UP = 200
_CONNECTIONS = 16
_SEED = 20261124
# Different calls; sent again and again.
_MOST_DIFFERENT = 10_000
_SAMPLE_EVERY_S = 0.5
_SETTLE_S = 30.0
# Longer than the services wait between two looks at the models: the first look starts a thread.
_UNCHANGED_S = 3.0
_DAY_S = 86_400.0
_EXIT_LEAKED = 1
_EXIT_FAILED = 2


@dataclass(frozen=True, slots=True)
class Soaked:
    """What a soak found."""

    calls: int
    took_s: float
    memory_mib: dict[str, list[float]]
    leaks: list[str]


def soak(services: Services, requests: int) -> Soaked:
    """Sends calls, and looks at what the services hold before, meanwhile and after.

    Args:
        services: idle but for this.
        requests: how many calls, by both ways together.

    Raises:
        ScenarioFailed: a call was answered as it should not be.
    """
    _send(services, max(_LEAST_WARM_UP, int(requests * _WARM_UP_SHARE)), _SEED + 1, lambda: None)
    start = _settled(services, None)
    memory: dict[str, list[float]] = {"inference": [], "gateway": []}

    def sample() -> None:
        memory["inference"].append(services.inference.memory_mib())
        memory["gateway"].append(services.gateway.memory_mib())

    started_s = time.perf_counter()
    calls = _send(services, requests, _SEED, sample)
    took_s = time.perf_counter() - started_s
    leaks = _leaks(start, _settled(services, start)) + grown(memory)
    return Soaked(calls, took_s, memory, leaks)


def main() -> None:
    """Soaks the services; exits with 1 when they keep something and 2 when an answer was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=_REQUESTS, help="default 100000")
    parser.add_argument("--models", type=Path, default=_ROOT / "models", help="model repository")
    arguments = parser.parse_args()
    try:
        with (
            NamedTemporaryFile(prefix="soak-", suffix=".log", delete=False) as messages,
            started(arguments.models, messages) as services,
        ):
            print(f"messages of the services: {messages.name}")
            found = soak(services, arguments.requests)
    except ScenarioFailed as error:
        print(f"failed: {error}", file=sys.stderr)
        sys.exit(_EXIT_FAILED)
    print(f"{found.calls} calls in {found.took_s:.0f} s")
    for service, samples in found.memory_mib.items():
        print(f"{service}: {_memory(samples)}")
    for line in found.leaks:
        print(f"leak: {line}")
    if found.leaks:
        sys.exit(_EXIT_LEAKED)


def _memory(samples: Sequence[float]) -> str:
    if len(samples) < FEWEST_SAMPLES:
        return "too short to judge its memory"
    quarters = ", ".join(f"{quarter(samples, i):.1f}" for i in range(4))
    return f"MiB in each quarter: {quarters}"


def _send(services: Services, requests: int, seed: int, sample: Callable[[], None]) -> int:
    """Sends half of the calls by each way at the same time; gives how many ended."""
    plans = [
        Plan(
            way=way,
            authority=authority,
            corpus="sentences",
            corpus_texts=min(_MOST_DIFFERENT, requests // 2),
            seed=seed,
            connections=_CONNECTIONS,
            measure_s=_DAY_S,
            warm_up_s=0,
            calls=requests // 2,
            is_mischief=True,
        )
        for way, authority in (
            (Way.REST, services.rest_authority),
            (Way.GRPC, services.grpc_authority),
        )
    ]
    with ExitStack() as running:
        generators = [running.enter_context(generating(plan)) for plan in plans]
        while not all(generator.has_ended() for generator in generators):
            sample()
            time.sleep(_SAMPLE_EVERY_S)
        loads = [
            load_of(plan, list(one.lines)) for plan, one in zip(plans, generators, strict=True)
        ]
    return sum(load.total_calls for load in loads)


def _settled(services: Services, start: dict[str, Holdings] | None) -> dict[str, Holdings]:
    """What the services hold once they have noticed that their callers are gone.

    Args:
        services: without callers.
        start: what they ought to come back to; none: whatever they hold unchanged for a while.
    """
    deadline_s = time.monotonic() + _SETTLE_S
    before: dict[str, Holdings] | None = None
    since_s = 0.0
    while True:
        now, now_s = _holdings(services), time.monotonic()
        if now != before:
            before, since_s = now, now_s
        unchanged = now_s - since_s >= _UNCHANGED_S
        is_settled = unchanged if start is None else not _leaks(start, now)
        if is_settled or now_s > deadline_s:
            return now
        time.sleep(_SAMPLE_EVERY_S)


def _leaks(start: dict[str, Holdings], end: dict[str, Holdings]) -> list[str]:
    return [line for name in start for line in kept(name, start[name], end[name])]


def _holdings(services: Services) -> dict[str, Holdings]:
    return {
        "inference": _held(services.inference, services.counters(), "inference_calls_in_flight"),
        "gateway": _held(
            services.gateway, services.gateway_counters(), "gateway_http_requests_in_flight"
        ),
    }


def _held(service: Service, counters: Counters, in_flight: str) -> Holdings:
    tasks = [value for name, value in counters.values.items() if name.endswith("_asyncio_tasks")]
    # The reading itself may be a call under way, in both readings alike.
    return Holdings(
        service.threads(),
        service.descriptors(),
        int(counters[in_flight]),
        int(tasks[0]) if tasks else None,
    )


if __name__ == "__main__":
    main()
