"""`python -m benchmarks.overload`: what callers see at three times the load that can be answered.

The peak is what a closed loop of callers gets; the loads after it are open loops, whose callers
come whether the service keeps up or not: four fifths of the peak, three times the peak, and four
fifths again at once. Through REST, a sentence a request. Takes some 40 s.

It fails when something other than 200 or 429 was answered, or when a promise is missed: goodput of
90 % of the peak, p99 of what was accepted within twice that of four fifths, and two seconds after
the overload the same as before it.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine
from benchmarks.caller import Ended
from benchmarks.corpus import sentences
from benchmarks.driver import Driver
from benchmarks.protocol import Call
from benchmarks.recorder import Load, Recorder
from benchmarks.schedule import ClosedLoop, OpenLoop, poisson_arrivals
from benchmarks.services import started
from benchmarks.ways import Way, codec

_NS_PER_S = 1_000_000_000
_PEAK_CALLERS = 32
# An open loop needs a caller for each call under way: more than are accepted or refused at a time.
_CALLERS = 1_000
_NORMAL, _OVER = 0.8, 3.0
_WARM_UP_S, _PEAK_S, _NORMAL_S, _OVER_S, _AFTER_S = 2.0, 6.0, 8.0, 8.0, 6.0
_RECOVERY_S = 2.0
_PATIENCE_S = 15.0
_OK, _PUT_OFF = 200, 429
_LEAST_GOODPUT, _MOST_P99 = 0.9, 2.0
# All defaults, but that a caller may be connected for long before it is needed.
_SETTINGS = {"GATEWAY_HEADER_TIMEOUT_S": "60"}


class _Recorder(Recorder):
    """Knows of each failure when it was meant to be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.failed: list[tuple[int, int]] = []  # when meant, status

    def record(self, ended: Ended, finished_ns: int) -> None:
        """Takes a call that ended."""
        super().record(ended, finished_ns)
        if ended.status not in ended.call.accepts:
            self.failed.append((ended.intended_ns, ended.status))

    def statuses(self, begin_ns: int, end_ns: int) -> Counter[int]:
        """The failures of the calls meant for this time."""
        return Counter(status for meant, status in self.failed if begin_ns <= meant < end_ns)


@dataclass(frozen=True, slots=True)
class _Phase:
    """What callers saw in one part of the run."""

    name: str
    load: Load
    failures: Counter[int]

    def line(self, peak: float, normal_p99_ms: float) -> str:
        """A line of the table."""
        load, failed = self.load, dict(self.failures)
        return (
            f"{self.name:<28}{load.sentences_per_s:8.0f}{load.sentences_per_s / peak:8.2f}"
            f"{load.p50_ms:9.1f}{load.p99_ms:9.1f}{load.p99_ms / normal_p99_ms:8.2f}  {failed}"
        )


def main() -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overload", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    about = machine.describe()
    print(f"{about['cpu']}, {about['cores']} cores, commit {about['commit']}, {about['date']}")
    with started(options.models, settings=_SETTINGS) as services:
        host, _, port = services.rest_authority.rpartition(":")
        ways = codec(Way.REST, services.rest_authority)
        calls = [ways.call([text], bulk=False) for text in sentences(2_000, options.seed)]
        address = (host, int(port))
        with Driver(address, ways.connect, _PEAK_CALLERS) as driver:
            peak = _closed(driver, calls)
        with Driver(address, ways.connect, _CALLERS) as driver:
            phases = _open(driver, calls, peak.load.sentences_per_s, options.seed)
    return _report([peak, *phases])


def _closed(driver: Driver, calls: Sequence[Call]) -> _Phase:
    recorder = _Recorder()
    begin_ns = time.perf_counter_ns() + int(_WARM_UP_S * _NS_PER_S)
    end_ns = begin_ns + int(_PEAK_S * _NS_PER_S)
    driver.run(calls, ClosedLoop(end_ns), recorder, _PATIENCE_S)
    return _phase(f"peak, {_PEAK_CALLERS} callers", recorder, begin_ns, end_ns)


def _open(driver: Driver, calls: Sequence[Call], peak_per_s: float, seed: int) -> list[_Phase]:
    start_ns = time.perf_counter_ns()
    ends_ns = [start_ns]
    arrivals: list[int] = []
    parts = [(_NORMAL, _WARM_UP_S), (_NORMAL, _NORMAL_S), (_OVER, _OVER_S), (_NORMAL, _AFTER_S)]
    for number, (share, lasts_s) in enumerate(parts):
        end_ns = ends_ns[-1] + int(lasts_s * _NS_PER_S)
        arrivals += poisson_arrivals(ends_ns[-1], end_ns, share * peak_per_s, seed + number)
        ends_ns.append(end_ns)
    recorder = _Recorder()
    driver.run(calls, OpenLoop(arrivals), recorder, _PATIENCE_S)
    _, normal_ns, over_ns, after_ns, end_ns = ends_ns
    normal_again_ns = after_ns + int(_RECOVERY_S * _NS_PER_S)
    return [
        _phase(f"{_NORMAL:g} x peak", recorder, normal_ns, over_ns),
        _phase(f"{_OVER:g} x peak", recorder, over_ns, after_ns),
        _phase(f"the {_RECOVERY_S:g} s after", recorder, after_ns, normal_again_ns),
        _phase("and then", recorder, normal_again_ns, end_ns),
    ]


def _phase(name: str, recorder: _Recorder, begin_ns: int, end_ns: int) -> _Phase:
    load = recorder.load(begin_ns, end_ns, 0.0)
    return _Phase(name, load, recorder.statuses(begin_ns, end_ns))


def _report(phases: Sequence[_Phase]) -> int:
    peak, normal, over, _, after = phases
    rate, p99_ms = peak.load.sentences_per_s, normal.load.p99_ms
    print(f"{'':<28}{'per s':>8}{'of peak':>8}{'p50 ms':>9}{'p99 ms':>9}{'of 0.8':>8}  not 200")
    for phase in phases:
        print(phase.line(rate, p99_ms))
    missed = []
    if others := {s for phase in phases for s in phase.failures} - {_PUT_OFF}:
        missed.append(f"answered neither 200 nor 429: {sorted(others)}")
    if over.load.sentences_per_s < _LEAST_GOODPUT * rate:
        missed.append(f"goodput below {_LEAST_GOODPUT:g} of the peak")
    missed += [
        f"{phase.name}: p99 above {_MOST_P99:g} times that of {_NORMAL:g}"
        for phase in (over, after)
        if phase.load.p99_ms > _MOST_P99 * p99_ms
    ]
    if after.failures:
        missed.append("refusals after the recovery")
    for line in missed:
        print(f"missed: {line}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
