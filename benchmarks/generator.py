"""`python -m benchmarks.generator PLAN`: one load generator in a process of its own.

It writes lines of JSON: {"event": "begin"} and {"event": "end"} at the ends of the time that
counts, so that whoever started it can read the servers' counters then, and the result at last.
"""

import json
import sys
import time

from benchmarks import answers, mischief
from benchmarks.corpus import CORPORA
from benchmarks.driver import Driver, Mark
from benchmarks.plan import Plan
from benchmarks.protocol import Call
from benchmarks.recorder import Recorder
from benchmarks.schedule import ClosedLoop, OpenLoop, Schedule, poisson_arrivals
from benchmarks.ways import Codec, codec
from telemetry import garbage

_NS_PER_S = 1_000_000_000
_PATIENCE_S = 30.0


def main() -> None:
    """Runs the plan on the command line."""
    plan = Plan.from_json(sys.argv[1])
    host, _, port = plan.authority.rpartition(":")
    ways = codec(plan.way, plan.authority, bulk_is_known=plan.bulk_is_known)
    calls = _calls(plan, ways)
    recorder = Recorder()
    cpu_ns: list[int] = []
    garbage.set_apart()

    def mark(event: str) -> None:
        cpu_ns.append(time.process_time_ns())
        _say({"event": event})

    with Driver((host, int(port)), ways.connect, plan.connections, plan.depth) as driver:
        begin_ns = time.perf_counter_ns() + int(plan.warm_up_s * _NS_PER_S)
        end_ns = begin_ns + int(plan.measure_s * _NS_PER_S)
        marks = [Mark(begin_ns, lambda: mark("begin")), Mark(end_ns, lambda: mark("end"))]
        driver.run(calls, _schedule(plan, end_ns), recorder, _PATIENCE_S, marks)
    cpu_s = (cpu_ns[1] - cpu_ns[0]) / _NS_PER_S
    _say({"event": "result", "faults": _faults(ways, recorder)})
    if not recorder.failures:
        load = recorder.load(begin_ns, end_ns, cpu_s)
        _say({"event": "load", **load.as_dict()})


def _calls(plan: Plan, ways: Codec) -> list[Call]:
    if plan.is_mischief:
        return mischief.calls(plan.way, plan.authority, plan.corpus_texts, plan.seed)
    texts = CORPORA[plan.corpus](plan.corpus_texts, plan.seed)
    size = plan.texts_per_call
    whole = len(texts) // size * size
    return [ways.call(texts[at : at + size], bulk=plan.bulk) for at in range(0, whole, size)]


def _schedule(plan: Plan, end_ns: int) -> Schedule:
    if plan.rate_per_s is None:
        return ClosedLoop(end_ns, plan.calls)
    now_ns = time.perf_counter_ns()
    return OpenLoop(poisson_arrivals(now_ns, end_ns, plan.rate_per_s, plan.seed))


def _faults(ways: Codec, recorder: Recorder) -> list[str]:
    found = [f"{calls} calls ended with {status}" for status, calls in recorder.failures.items()]
    try:
        answered = [one for sample in recorder.samples for one in ways.answered(*sample)]
    except (ValueError, KeyError) as error:
        return [*found, f"an answer cannot be read: {error}"]
    return found + answers.faults(answered)


def _say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
