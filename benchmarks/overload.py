"""`python -m benchmarks.overload`: what callers see at three times the load that can be answered.

The peak is what a closed loop of callers gets; the loads after it are open loops, whose callers
come whether the service keeps up or not: four fifths of the peak, three times the peak, and four
fifths again at once. Through REST, a sentence a request. All of it is done in five rounds
(`--rounds`), because the speed of a machine moves more in a minute than what is measured; a promise
is judged by the median of their ratios. A round takes 26 s.

At three times the load the load generator works three times as hard, and takes that from the
services. `--apart` gives it the last core to itself and the services the others: what is measured
then is a machine with a core less.

It fails when something other than 200 or 429 was answered, or when a promise is missed: goodput of
90 % of the peak, p99 of what was accepted within twice that of four fifths, and two seconds after
the overload the same as before it. The last columns are the cores that inference, gateway and load
generator kept busy: they tell where goodput stays.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Self

from benchmarks import machine
from benchmarks.caller import Ended
from benchmarks.cores import Cores, pinned
from benchmarks.corpus import sentences
from benchmarks.driver import Driver, Mark
from benchmarks.protocol import Call
from benchmarks.recorder import Recorder
from benchmarks.schedule import ClosedLoop, OpenLoop, Schedule, poisson_arrivals
from benchmarks.services import Services, started
from benchmarks.ways import Codec, Way, codec

_NS_PER_S = 1_000_000_000
_PEAK_CALLERS = 32
# An open loop needs a caller for each call under way: more than are accepted or refused at a time.
_CALLERS = 1_000
_NORMAL, _OVER = 0.8, 3.0
# Of the open loops; the peak is measured without, so that nothing is gained by it.
_TICK_MS = 1.0
_WARM_UP_S, _PEAK_S, _NORMAL_S, _OVER_S, _AFTER_S = 2.0, 5.0, 6.0, 6.0, 4.0
_RECOVERY_S = 2.0
_PATIENCE_S = 15.0
_PUT_OFF = 429
_LEAST_GOODPUT, _MOST_P99 = 0.9, 2.0
# A caller may be connected for long before it is needed. All else are the defaults, but for the log
# level (`services`), or what the environment says: the settings are printed.
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
class Busy:
    """Processor seconds until now, or cores kept busy over a while."""

    inference: float
    gateway: float
    generator: float

    @classmethod
    def until_now(cls, services: Services) -> Self:
        """Reads the clocks of the processes."""
        own_s = time.process_time()
        return cls(services.inference.cpu_s(), services.gateway.cpu_s(), own_s)

    def since(self, before: "Busy", seconds: float) -> "Busy":
        """The cores kept busy since an earlier reading, so many seconds ago."""
        return Busy(
            (self.inference - before.inference) / seconds,
            (self.gateway - before.gateway) / seconds,
            (self.generator - before.generator) / seconds,
        )


@dataclass(frozen=True, slots=True)
class Phase:
    """What callers saw in one part of a round."""

    name: str
    per_s: float  # sentences that were answered
    p50_ms: float
    p99_ms: float
    failures: Counter[int]
    busy: Busy


@dataclass(frozen=True, slots=True)
class Round:
    """The phases, in the order of their time."""

    peak: Phase
    normal: Phase
    over: Phase
    recovery: Phase  # the first seconds after the overload
    after: Phase

    @property
    def phases(self) -> tuple[Phase, ...]:
        """All of them."""
        return (self.peak, self.normal, self.over, self.recovery, self.after)

    @property
    def goodput(self) -> float:
        """What is answered under overload, as a share of the peak."""
        return self.over.per_s / self.peak.per_s

    @property
    def kept_cores(self) -> float:
        """Cores that inference kept under overload, as a share of those at the peak."""
        return self.over.busy.inference / self.peak.busy.inference

    def slowdown(self, phase: Phase) -> float:
        """A phase's p99 as a multiple of that of four fifths of the peak."""
        return phase.p99_ms / self.normal.p99_ms

    def lines(self) -> list[str]:
        """Those of a table."""
        return [
            f"{phase.name:<28}{phase.per_s:8.0f}{phase.per_s / self.peak.per_s:8.2f}"
            f"{phase.p50_ms:9.1f}{phase.p99_ms:9.1f}{self.slowdown(phase):8.2f}"
            f"{phase.busy.inference:8.2f}{phase.busy.gateway:6.2f}{phase.busy.generator:6.2f}"
            f"  {dict(phase.failures)}"
            for phase in self.phases
        ]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The ratios of the promises, each the median of the rounds."""

    goodput: float  # of the peak
    kept_cores: float  # no promise: goodput, where the machine is as fast in both
    over_p99: float  # of that at four fifths of the peak
    recovery_p99: float  # likewise
    rounds_refused_after: int  # rounds in which a call after the recovery was refused
    wrong_statuses: frozenset[int]

    @classmethod
    def of(cls, rounds: Sequence[Round]) -> Self:
        """Judges at least one round."""
        statuses = {status for r in rounds for phase in r.phases for status in phase.failures}
        return cls(
            median(r.goodput for r in rounds),
            median(r.kept_cores for r in rounds),
            median(r.slowdown(r.over) for r in rounds),
            median(r.slowdown(r.recovery) for r in rounds),
            sum(bool(r.after.failures) for r in rounds),
            frozenset(statuses - {_PUT_OFF}),
        )

    def line(self) -> str:
        """The ratios."""
        return (
            f"medians: goodput {self.goodput:.2f} of the peak"
            f" (inference kept {self.kept_cores:.2f} of its cores),"
            f" p99 {self.over_p99:.2f} and after it {self.recovery_p99:.2f} times"
            f" that of {_NORMAL:g}"
        )

    def missed(self) -> list[str]:
        """The promises that were not kept, a line each."""
        misses = {
            f"answered neither 200 nor 429: {sorted(self.wrong_statuses)}": self.wrong_statuses,
            f"goodput below {_LEAST_GOODPUT:g} of the peak": self.goodput < _LEAST_GOODPUT,
            f"p99 above {_MOST_P99:g} times that of {_NORMAL:g}": self.over_p99 > _MOST_P99,
            f"p99 in the {_RECOVERY_S:g} s after it likewise": self.recovery_p99 > _MOST_P99,
            "refusals after the recovery": self.rounds_refused_after,
        }
        return [line for line, is_missed in misses.items() if is_missed]


def main() -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overload", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--apart", action="store_true", help="a core for the load generator alone")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds: at least 1")
    cores = Cores.apart() if options.apart else Cores.shared()
    about = machine.describe()
    print(f"{about['cpu']}, commit {about['commit']}, {about['date']}")
    print(f"{about['cores']} cores: {cores}")
    print(
        f"{'':<28}{'per s':>8}{'of peak':>8}{'p50 ms':>9}{'p99 ms':>9}{'of 0.8':>8}"
        f"{'inf.':>8}{'gw.':>6}{'load':>6}  not 200"
    )
    with (
        started(options.models, settings=_SETTINGS, cores=cores.services) as services,
        pinned(cores.generator),
    ):
        print(f"settings: {services.settings}")
        way = codec(Way.REST, services.rest_authority)
        calls = [way.call([text], bulk=False) for text in sentences(2_000, options.seed)]
        rounds = []
        for _ in range(options.rounds):
            measured = _round(services, way, calls, options.seed)
            print("\n".join(measured.lines()), flush=True)
            rounds.append(measured)
    verdict = Verdict.of(rounds)
    print(verdict.line())
    misses = verdict.missed()
    for line in misses:
        print(f"missed: {line}")
    return int(bool(misses))


def _round(services: Services, way: Codec, calls: Sequence[Call], seed: int) -> Round:
    host, _, port = services.rest_authority.rpartition(":")
    address = host, int(port)
    with Driver(address, way.connect, _PEAK_CALLERS) as driver:
        peak = _closed(driver, calls, services)
    with Driver(address, way.connect, _CALLERS, tick_ms=_TICK_MS) as driver:
        return Round(peak, *_open(driver, calls, services, peak.per_s, seed))


def _closed(driver: Driver, calls: Sequence[Call], services: Services) -> Phase:
    begin_ns = time.perf_counter_ns() + int(_WARM_UP_S * _NS_PER_S)
    end_ns = begin_ns + int(_PEAK_S * _NS_PER_S)
    part = _Part(f"peak, {_PEAK_CALLERS} callers", begin_ns, end_ns)
    [peak] = _measure(driver, calls, ClosedLoop(end_ns), [part], services)
    return peak


def _open(
    driver: Driver, calls: Sequence[Call], services: Services, peak_per_s: float, seed: int
) -> list[Phase]:
    ends_ns = [time.perf_counter_ns()]
    arrivals: list[int] = []
    loads = [(_NORMAL, _WARM_UP_S), (_NORMAL, _NORMAL_S), (_OVER, _OVER_S), (_NORMAL, _AFTER_S)]
    for number, (share, lasts_s) in enumerate(loads):
        end_ns = ends_ns[-1] + int(lasts_s * _NS_PER_S)
        arrivals += poisson_arrivals(ends_ns[-1], end_ns, share * peak_per_s, seed + number)
        ends_ns.append(end_ns)
    _, normal_ns, over_ns, after_ns, end_ns = ends_ns
    normal_again_ns = after_ns + int(_RECOVERY_S * _NS_PER_S)
    parts = [
        _Part(f"{_NORMAL:g} x peak", normal_ns, over_ns),
        _Part(f"{_OVER:g} x peak", over_ns, after_ns),
        _Part(f"the {_RECOVERY_S:g} s after", after_ns, normal_again_ns),
        _Part("and then", normal_again_ns, end_ns),
    ]
    return _measure(driver, calls, OpenLoop(arrivals), parts, services)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a run; each begins where the one before it ends."""

    name: str
    begin_ns: int
    end_ns: int


def _measure(
    driver: Driver,
    calls: Sequence[Call],
    schedule: Schedule,
    parts: Sequence[_Part],
    services: Services,
) -> list[Phase]:
    recorder = _Recorder()
    readings: list[tuple[int, Busy]] = []

    def read() -> None:
        readings.append((time.perf_counter_ns(), Busy.until_now(services)))

    marks = [Mark(at_ns, read) for at_ns in (parts[0].begin_ns, *(part.end_ns for part in parts))]
    driver.run(calls, schedule, recorder, _PATIENCE_S, marks)
    phases = []
    for part, (begin, end) in zip(parts, pairwise(readings), strict=True):
        load = recorder.load(part.begin_ns, part.end_ns, 0.0)
        failures = recorder.statuses(part.begin_ns, part.end_ns)
        busy = end[1].since(begin[1], (end[0] - begin[0]) / _NS_PER_S)
        phases.append(
            Phase(part.name, load.sentences_per_s, load.p50_ms, load.p99_ms, failures, busy)
        )
    return phases


if __name__ == "__main__":
    sys.exit(main())
