"""One scenario: a load generator in its own process, and the services' counters around it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.counters import Counters
from benchmarks.plan import Plan
from benchmarks.recorder import Load
from benchmarks.services import Services

_ROOT = Path(__file__).parent.parent
# Beyond the plan's own time: start, drain, and the patience of the generator.
_MORE_TIME_S = 60.0
# Guests are counted as users already.
_NOT_BUSY = ("idle", "iowait", "guest", "guest_nice")


class ScenarioFailed(Exception):
    """A scenario's figures would mean nothing: calls failed, or answers were wrong."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What callers and servers saw in one scenario."""

    load: Load
    inference_cpu_s: float
    gateway_cpu_s: float
    padding_share: float  # of the tokens that were run
    mean_batch: float  # windows in a model run
    inference_peak_mib: float  # since the start of the service
    gateway_peak_mib: float
    others_share: float  # of the machine's processor time, taken by processes that are not ours


@dataclass(frozen=True, slots=True)
class _Snapshot:
    inference_cpu_s: float
    gateway_cpu_s: float
    counters: Counters
    busy_cpu_s: float  # of the whole machine
    at_s: float


def measure(plan: Plan, services: Services) -> Measurement:
    """Runs a plan against the services.

    Raises:
        ScenarioFailed: a call failed, or an answer was wrong.
    """
    snapshots: list[_Snapshot] = []
    result: list[dict[str, Any]] = []
    with generating(plan) as generator:
        for line in generator.lines:
            if line["event"] in ("begin", "end"):
                snapshots.append(_snapshot(services))
            else:
                result.append(line)
    return _measurement(services, load_of(plan, result), *snapshots)


def around(services: Services, run: Callable[[], Load]) -> Measurement:
    """Reads the services' counters before and after something that loads them."""
    before = _snapshot(services)
    load = run()
    return _measurement(services, load, before, _snapshot(services))


def _measurement(
    services: Services, load: Load, before: _Snapshot, after: _Snapshot
) -> Measurement:
    counted = after.counters.since(before.counters)
    inference_cpu_s = after.inference_cpu_s - before.inference_cpu_s
    gateway_cpu_s = after.gateway_cpu_s - before.gateway_cpu_s
    ours_cpu_s = inference_cpu_s + gateway_cpu_s + load.generator_cpu_s
    available_cpu_s = (after.at_s - before.at_s) * (psutil.cpu_count() or 1)
    others_cpu_s = after.busy_cpu_s - before.busy_cpu_s - ours_cpu_s
    return Measurement(
        load,
        inference_cpu_s,
        gateway_cpu_s,
        counted.padding_share,
        counted.mean_batch,
        services.inference.peak_memory_mib(),
        services.gateway.peak_memory_mib(),
        max(0.0, others_cpu_s / available_cpu_s),
    )


@dataclass(frozen=True, slots=True)
class Generator:
    """A load generator that runs in its own process."""

    process: subprocess.Popen[bytes]
    lines: Iterator[dict[str, Any]]  # what it says, when it says it

    def has_ended(self) -> bool:
        """Whether its process is over."""
        return self.process.poll() is not None


@contextmanager
def generating(plan: Plan) -> Iterator[Generator]:
    """A running load generator; it is ended with the context.

    Raises:
        ScenarioFailed: it ended by an error of its own.
    """
    command = [sys.executable, "-m", "benchmarks.generator", plan.to_json()]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE) as process:  # noqa: S603
        try:
            if process.stdout is None:
                raise RuntimeError("a pipe was asked for")
            yield Generator(process, map(json.loads, process.stdout))
            process.wait(_MORE_TIME_S)
        finally:
            process.kill()
    if process.returncode:
        raise ScenarioFailed(f"{plan.way}: the load generator ended: see its message above")


def load_of(plan: Plan, said: Sequence[dict[str, Any]]) -> Load:
    """What a load generator's lines tell.

    Raises:
        ScenarioFailed: a call failed, or an answer was wrong.
    """
    faults = [fault for line in said for fault in line.get("faults", ())]
    if faults:
        name = f"{plan.way}, {plan.connections} connections, {plan.texts_per_call} texts a call"
        raise ScenarioFailed(f"{name}: {'; '.join(faults)}")
    (found,) = (line for line in said if line["event"] == "load")
    return Load.of(found)


def _snapshot(services: Services) -> _Snapshot:
    cpu = psutil.cpu_times()
    return _Snapshot(
        services.inference.cpu_s(),
        services.gateway.cpu_s(),
        services.counters(),
        sum(cpu) - sum(getattr(cpu, name, 0.0) for name in _NOT_BUSY),
        time.perf_counter(),
    )
