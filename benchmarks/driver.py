"""The loop of a load generator: one thread, many callers, no tasks.

A coroutine for each caller would cost more than many of the calls; here a call costs its system
calls and little else.
"""

import heapq
import select
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from types import TracebackType
from typing import Self

from benchmarks.caller import Caller, Connect, Ended
from benchmarks.protocol import UNANSWERED, Call
from benchmarks.recorder import Recorder
from benchmarks.schedule import Schedule

_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000
_MS_PER_S = 1_000
_LONGEST_WAIT_NS = _NS_PER_S


@dataclass(frozen=True, slots=True)
class Mark:
    """Something to be done at an instant of the run, such as reading a clock."""

    at_ns: int
    act: Callable[[], None]


class Driver:
    """Sends calls by a schedule; owns its callers, use it as a context.

    Args:
        address: host and port.
        connect: makes the client's end of a connection.
        connections: how many.
        depth: calls under way on each at the same time.
        tick_ms: how often sockets and schedule are looked at; 0: whenever there is something. At
            thousands of calls a second a millisecond halves what the load generator takes from
            the services, and a call is sent and its answer seen up to that much later.
        clock_ns: nanoseconds that only grow.
    """

    def __init__(
        self,
        address: tuple[str, int],
        connect: Connect,
        connections: int,
        depth: int = 1,
        tick_ms: float = 0.0,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._clock_ns = clock_ns
        self._tick_s = tick_ms / _MS_PER_S
        self._departures: list[tuple[int, int, int, Caller]] = []
        with ExitStack() as opened:
            self._selector = opened.enter_context(DefaultSelector())
            self._callers = []
            for _ in range(connections):
                caller = Caller(address, connect, self._selector)
                opened.callback(caller.close)
                self._callers.append(caller)
            opened.pop_all()
        # A caller stands here once for each further call that it may send.
        self._idle = self._callers * depth
        self._slots = len(self._idle)

    def __enter__(self) -> Self:
        """Nothing: the callers are connected already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes every connection."""
        for caller in self._callers:
            caller.close()
        self._selector.close()

    def run(
        self,
        calls: Sequence[Call],
        schedule: Schedule,
        recorder: Recorder,
        patience_s: float,
        marks: Iterable[Mark] = (),
    ) -> None:
        """Sends until the schedule is over and every call has ended.

        Args:
            calls: sent in this order, again and again.
            schedule: when.
            recorder: takes the calls that ended.
            patience_s: how long an answer may take once nothing is sent any more; what is still
                open then ends as `UNANSWERED`.
            marks: what else is to be done in between, ascending.
        """
        self._calls = cycle(calls)
        self._schedule = schedule
        self._recorder = recorder
        waiting_marks = list(marks)
        give_up_ns: int | None = None
        while True:
            now_ns = self._clock_ns()
            while waiting_marks and waiting_marks[0].at_ns <= now_ns:
                waiting_marks.pop(0).act()
            self._depart(now_ns)
            self._send_due(now_ns)
            if schedule.over(now_ns):
                if len(self._idle) == self._slots:
                    break
                give_up_ns = give_up_ns or now_ns + int(patience_s * _NS_PER_S)
                if now_ns > give_up_ns:
                    self._give_up()
                    break
            self._wait(now_ns, waiting_marks[0].at_ns if waiting_marks else None)
            self._take_answers()
        for mark in waiting_marks:
            mark.act()

    def _send_due(self, now_ns: int) -> None:
        while self._idle:
            intended_ns = self._schedule.next(now_ns)
            if intended_ns is None:
                return
            if intended_ns != now_ns:
                self._recorder.late_ns.append(now_ns - intended_ns)
            call = next(self._calls)
            caller = self._idle.pop()
            caller.send(call, intended_ns)
            if call.leave_after_ms is not None:
                due_ns = now_ns + int(call.leave_after_ms * _NS_PER_MS)
                heapq.heappush(self._departures, (due_ns, id(caller), caller.serial, caller))

    def _depart(self, now_ns: int) -> None:
        """Lets those go whose time has come, if their call is still under way."""
        while self._departures and self._departures[0][0] <= now_ns:
            _, _, serial, caller = heapq.heappop(self._departures)
            if caller.serial == serial and caller.busy:
                self._end(caller, caller.leave(), now_ns)

    def _wait(self, now_ns: int, mark_ns: int | None) -> None:
        """Waits for the next tick; without, until a socket is ready or something is due."""
        if self._tick_s:
            time.sleep(self._tick_s)
            return
        due = [self._schedule.wake_ns() if self._idle else None, mark_ns]
        if self._departures:
            due.append(self._departures[0][0])
        wake_ns = min((one for one in due if one is not None), default=now_ns + _LONGEST_WAIT_NS)
        wait_ns = min(max(wake_ns - now_ns, 0), _LONGEST_WAIT_NS)
        if wait_ns:
            # As exactly as can be: epoll counts milliseconds, which would make calls late; select
            # counts microseconds.
            select.select([self._selector.fileno()], [], [], wait_ns / _NS_PER_S)

    def _take_answers(self) -> None:
        for key, events in self._selector.select(0):
            caller: Caller = key.data
            if events & EVENT_WRITE:
                caller.flush()
            if events & EVENT_READ:
                ended = caller.receive()
                if ended:
                    now_ns = self._clock_ns()
                    self._end(caller, ended, now_ns)
                    self._send_due(now_ns)

    def _end(self, caller: Caller, ended: Sequence[Ended], now_ns: int) -> None:
        recorder = self._recorder
        for one in ended:
            call = one.call
            # Where several calls of a stream end together, the body is that of the last.
            is_last = one is ended[-1]
            right = call.is_checked and one.status in call.accepts
            if is_last and right and recorder.wants_sample():
                recorder.sample(call, caller.body)
            recorder.record(one, now_ns)
            self._idle.append(caller)

    def _give_up(self) -> None:
        now_ns = self._clock_ns()
        for caller in self._callers:
            self._end(caller, caller.end_all(UNANSWERED), now_ns)
