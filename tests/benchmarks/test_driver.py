"""The loop of a load generator, against a server that does as the test wants."""

import threading
import time

import pytest

from benchmarks.driver import Driver, Mark
from benchmarks.protocol import CONNECTION_LOST, UNANSWERED, Call
from benchmarks.recorder import Recorder
from benchmarks.schedule import ClosedLoop, OpenLoop, Schedule
from tests.benchmarks.line_server import LineConnection, LineServer, serving

pytestmark = pytest.mark.timeout(60)

_DAY_NS = 86_400_000_000_000


def _call(text: str, **more: object) -> Call:
    return Call(f"{text}\n".encode(), frozenset({200}), **more)  # type: ignore[arg-type]


def _run(
    server: LineServer,
    calls: list[Call],
    schedule: Schedule,
    connections: int = 1,
    patience_s: float = 30,
) -> Recorder:
    recorder = Recorder()
    with Driver(server.address, LineConnection, connections) as driver:
        driver.run(calls, schedule, recorder, patience_s)
    return recorder


def _closed(calls: int) -> ClosedLoop:
    return ClosedLoop(time.perf_counter_ns() + _DAY_NS, calls)


def test_calls_are_sent_in_order_and_again_from_the_first() -> None:
    with serving(lambda _: b"200\n") as server:
        recorder = _run(server, [_call("a"), _call("b")], _closed(5))
    assert server.lines == ["a", "b", "a", "b", "a"]
    assert recorder.ended == 5
    assert not recorder.failures


def test_every_connection_has_its_own_call_under_way() -> None:
    """The server answers nobody before all of them have called."""
    together = threading.Barrier(8, timeout=30)

    def answer(_: str) -> bytes:
        together.wait()
        return b"200\n"

    with serving(answer) as server:
        recorder = _run(server, [_call("a")], _closed(80), connections=8)
    assert server.connections == 8
    assert recorder.ended == 80


def test_a_wrong_status_is_a_failure() -> None:
    with serving(lambda line: b"503\n" if line == "b" else b"200\n") as server:
        recorder = _run(server, [_call("a"), _call("b")], _closed(10))
    assert recorder.failures == {503: 5}


def test_a_lost_connection_fails_its_call_and_is_made_anew() -> None:
    with serving(lambda line: None if line == "b" else b"200\n") as server:
        recorder = _run(server, [_call("a"), _call("b"), _call("c")], _closed(6))
    assert recorder.failures == {CONNECTION_LOST: 2}
    assert recorder.ended == 6
    assert server.connections == 3


def test_a_call_without_an_answer_is_given_up_and_counted() -> None:
    with serving(lambda line: b"" if line == "b" else b"200\n") as server:
        recorder = _run(server, [_call("a"), _call("b")], _closed(2), patience_s=0.05)
    assert recorder.failures == {UNANSWERED: 1}


def test_a_caller_that_leaves_is_no_failure_and_calls_again() -> None:
    # Not at once: what a server has not read when its caller is gone, it never reads.
    leaving = _call("b", leave_after_ms=200)
    with serving(lambda line: b"" if line == "b" else b"200\n") as server:
        recorder = _run(server, [_call("a"), leaving, _call("c")], _closed(6))
    assert not recorder.failures
    assert recorder.ended == 6
    assert server.lines == ["a", "b", "c"] * 2


def test_an_answer_that_comes_before_the_caller_leaves_counts() -> None:
    calls = [_call("a", leave_after_ms=20_000)]
    with serving(lambda _: b"200\n") as server:
        recorder = _run(server, calls, _closed(3))
    assert recorder.ended == 3
    assert server.connections == 1


def test_latency_counts_from_the_instant_that_was_meant() -> None:
    """Two calls are meant for long ago: that they waited for each other is their latency."""
    long_ago_ns = time.perf_counter_ns() - 1_000_000_000
    with serving(lambda _: b"200\n") as server:
        recorder = _run(server, [_call("a")], OpenLoop([long_ago_ns, long_ago_ns]))
    load = recorder.load(long_ago_ns, time.perf_counter_ns(), 0)
    assert load.calls == 2
    assert load.p50_ms > 1_000
    assert load.late_p99_ms > 1_000


def test_marks_are_met_even_when_the_calls_end_before() -> None:
    met: list[str] = []
    now_ns = time.perf_counter_ns()
    marks = [Mark(now_ns, lambda: met.append("a")), Mark(now_ns + _DAY_NS, lambda: met.append("b"))]
    with serving(lambda _: b"200\n") as server, Driver(server.address, LineConnection, 1) as driver:
        driver.run([_call("a")], _closed(1), Recorder(), 1, marks)
    assert met == ["a", "b"]


def test_a_large_request_is_sent_in_parts_while_answers_are_read() -> None:
    size = 30_000_000
    with serving(lambda line: b"200\n" if len(line) == size else b"400\n") as server:
        recorder = _run(server, [_call("x" * size)], _closed(2))
    assert recorder.ended == 2
    assert not recorder.failures


def test_with_ticks_every_call_is_sent_and_every_answer_seen() -> None:
    recorder = Recorder()
    marked: list[int] = []
    begin_ns = time.perf_counter_ns()
    arrivals = [begin_ns + i * 500_000 for i in range(40)]
    with (
        serving(lambda _: b"200\n") as server,
        Driver(server.address, LineConnection, 40, tick_ms=2.0) as driver,
    ):
        mark = Mark(arrivals[20], lambda: marked.append(time.perf_counter_ns()))
        driver.run([_call("a")], OpenLoop(arrivals), recorder, 30, [mark])
    assert recorder.ended == 40
    assert not recorder.failures
    assert len(server.lines) == 40
    assert marked[0] >= arrivals[20]
