"""Single texts of concurrent requests, sent to the inference service in joined calls."""

import asyncio
import math
import re
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from gateway.client import InferenceClient
from gateway.coalescing import Coalescer, JoinLimits, Waiting
from gateway.errors import INTERNAL_DETAIL, GatewayError, Reason
from gateway.joined_spans import JoinedSpans
from gateway.load_shedding import LoadShedder, ShedLimits
from gateway.metrics import GatewayMetrics
from gateway.single_text import SingleQuery, SingleResult, joined_request, single_results
from telemetry import request_id as request_ids
from telemetry import trace_context
from telemetry.logs import get_logger
from telemetry.trace_context import TraceContext

_LOG: Final = get_logger("gateway.joined_calls")

# A call that fails so may be to blame on one of its texts, or on their sum: each is then asked for
# alone, and only the guilty one fails. Any other failure would meet each of them too.
_PERHAPS_ONE_TEXT: Final = frozenset(
    {Reason.TOO_MANY_TEXTS, Reason.TEXT_TOO_LONG, Reason.BODY_TOO_LARGE, Reason.INTERNAL}
)

_CLOSING: Final = "the server is shutting down: try again"
OVERLOADED: Final = "more is asked than can be answered soon: try again in a second"

# Members of a body that is not an ordinary text of the default model. In a text the quotation marks
# would be escaped.
_NOT_ORDINARY: Final = re.compile(rb'"(?:texts|model|priority|timings)"')


@dataclass(slots=True, eq=False)
class _Asker:
    """One request that waits for the result of its text."""

    query: SingleQuery
    request_id: str
    deadline_s: float  # on the loop's clock
    reply: asyncio.Future[SingleResult]
    origin: TraceContext | None  # the request's span
    call: "_Call | None" = None

    def expire(self) -> None:
        if not self.reply.done():
            detail = "the deadline passed before the answer was ready"
            self.reply.set_exception(GatewayError(Reason.DEADLINE_EXCEEDED, detail))


@dataclass(slots=True, eq=False)
class _Call:
    """One call that is under way, for those who still wait for it."""

    askers: list[_Asker]
    is_counted: bool  # by the coalescer
    waiting: set[_Asker] = field(init=False)
    task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.waiting = set(self.askers)


class JoinedCalls:
    """Joins the texts of requests that ask for the same at the same time; closed by `aclose`.

    A request never sees its neighbours: it has its own result, its own failure and its own
    deadline, and may leave at any moment. A call is cancelled once everybody has left it.

    Args:
        client: sends the calls.
        metrics: counts the texts of the calls.
        limits: how texts are joined.
        spans: records the calls in traces; None: there are none.
        shed: how many ordinary texts may be under way; None: any number.
    """

    def __init__(
        self,
        client: InferenceClient,
        metrics: GatewayMetrics,
        limits: JoinLimits,
        spans: JoinedSpans | None = None,
        shed: ShedLimits | None = None,
    ) -> None:
        self._spans: Final = spans
        self._shedder: Final = None if shed is None else LoadShedder[_Asker](shed)
        metrics.overloaded.set_function(self._look)
        self._client: Final = client
        self._metrics: Final = metrics
        self._most_chars: Final = limits.chars
        self._coalescer: Final[Coalescer[_Asker]] = Coalescer(limits)
        self._calls: Final[set[asyncio.Task[None]]] = set()
        self._sending: asyncio.Handle | None = None
        self._holding: asyncio.TimerHandle | None = None
        self._closing = False

    async def aclose(self) -> None:
        """Refuse what waits and cancel the calls that are under way."""
        self._closing = True
        self._send()
        while self._calls:
            for call in self._calls:
                call.cancel()
            await asyncio.gather(*self._calls, return_exceptions=True)

    @property
    def overloaded(self) -> bool:
        """Whether ordinary texts are refused so that others are answered soon."""
        return self._shedder is not None and self._shedder.overloaded

    def _look(self) -> bool:
        """Decide anew also where nobody comes: for the metric."""
        if self._shedder is not None:
            self._shedder.look(asyncio.get_running_loop().time())
        return self.overloaded

    def refuses(self, body: bytes) -> bool:
        """Say whether a request is refused at once, before its body is parsed: under overload.

        Args:
            body: of the request; only ordinary ones are refused.
        """
        shedder = self._shedder
        return (
            shedder is not None
            and shedder.overloaded
            and not _NOT_ORDINARY.search(body)
            and shedder.refuses(asyncio.get_running_loop().time())
        )

    async def recognize(
        self, query: SingleQuery, timeout_s: float, request_id: str
    ) -> SingleResult:
        """Find the entities of one text.

        Cancelling it leaves the call to the others; the last one that leaves cancels the call.

        Args:
            query: the text, and what is asked for.
            timeout_s: seconds until the request is given up; its neighbours' do not count.
            request_id: goes to the inference service if the text travels alone; a joined call has
                an id of its own, and a line in the log says whose texts it carried if it fails.

        Raises:
            GatewayError: the call failed, the deadline passed, or there is overload.
        """
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        shedder = self._shedder if query.is_ordinary else None
        # Again, for bodies that did not show before they were parsed that they are ordinary.
        if shedder is not None and shedder.refuses(now_s):
            raise GatewayError(Reason.QUEUE_FULL, OVERLOADED)
        origin = None if self._spans is None else trace_context.current.get()
        asker = _Asker(query, request_id, now_s + timeout_s, loop.create_future(), origin)
        expiry = loop.call_at(asker.deadline_s, asker.expire)
        if shedder is not None:
            given_up = shedder.enter(asker, now_s)
            _refuse(given_up, GatewayError(Reason.QUEUE_FULL, OVERLOADED))
        chars = len(query.text)
        waiting = Waiting(asker, query.options, chars, now_s)
        if chars > self._most_chars:
            self._start(_Call([asker], is_counted=False))
        else:
            self._coalescer.add(waiting)
            self._send_soon()
        try:
            return await asker.reply
        except asyncio.CancelledError:
            if not asker.reply.cancelled():
                asker.reply.exception()  # else asyncio complains that nobody looked at it
            raise
        finally:
            expiry.cancel()
            if shedder is not None:
                shedder.leave(asker, answered=_is_answered(asker.reply))
            if asker.call is None:
                self._coalescer.leave(waiting)
            else:
                _leave(asker, asker.call)

    def _send_soon(self) -> None:
        """Send at the end of this turn of the loop: what came in one turn travels together."""
        if self._sending is None:
            self._sending = asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        loop = asyncio.get_running_loop()
        self._sending = None
        if self._holding is not None:
            self._holding.cancel()
            self._holding = None
        if self._closing:
            for askers in self._coalescer.take(math.inf):
                _refuse(askers, GatewayError(Reason.DRAINING, _CLOSING))
            return
        for askers in self._coalescer.take(loop.time(), overloaded=self.overloaded):
            self._start(_Call(askers, is_counted=True))
        hold_until_s = self._coalescer.hold_until_s
        if hold_until_s is not None:
            self._holding = loop.call_at(hold_until_s, self._send_soon)

    def _start(self, call: _Call) -> None:
        for asker in call.askers:
            asker.call = call
        call.task = asyncio.get_running_loop().create_task(self._run(call))
        self._calls.add(call.task)
        call.task.add_done_callback(partial(self._end, call))

    def _end(self, call: _Call, task: asyncio.Task[None]) -> None:
        # Not at the end of `_run`: a task that is cancelled before its first step never gets there.
        self._calls.discard(task)
        _refuse(call.waiting, GatewayError(Reason.DRAINING, _CLOSING))
        if call.is_counted:
            self._coalescer.end()
            self._send_soon()

    async def _run(self, call: _Call) -> None:
        try:
            await self._ask(call)
        except GatewayError as error:
            self._fail(call, error)
        except Exception as error:  # noqa: BLE001 - nobody may wait for ever for a fault of ours
            _refuse(call.waiting, error)

    async def _ask(self, call: _Call) -> None:
        askers = call.askers
        self._metrics.joined_texts.observe(len(askers))
        request = joined_request([asker.query for asker in askers])
        latest_s = max(asker.deadline_s for asker in askers)
        timeout_s = max(0.0, latest_s - asyncio.get_running_loop().time())
        call_id = askers[0].request_id if len(askers) == 1 else request_ids.new()
        try:
            if self._spans is None:
                response = await self._client.recognize(request, timeout_s, call_id)
            else:
                with self._spans.around([asker.origin for asker in askers]):
                    response = await self._client.recognize(request, timeout_s, call_id)
        except GatewayError as error:
            _log_failure(call, call_id, error)
            raise
        results = single_results(response)
        if len(results) != len(askers):
            raise GatewayError(Reason.INTERNAL, INTERNAL_DETAIL)
        self._metrics.answered(response.model, response.version, len(results))
        for asker, result in zip(askers, results, strict=True):
            if not asker.reply.done():
                asker.reply.set_result(result)

    def _fail(self, call: _Call, error: GatewayError) -> None:
        if len(call.askers) == 1 or error.reason not in _PERHAPS_ONE_TEXT:
            _refuse(call.waiting, error)
            return
        waiting, call.waiting = call.waiting, set()
        for asker in waiting:
            self._start(_Call([asker], is_counted=False))


def _is_answered(reply: asyncio.Future[SingleResult]) -> bool:
    return reply.done() and not reply.cancelled() and reply.exception() is None


def _leave(asker: _Asker, call: _Call) -> None:
    call.waiting.discard(asker)
    if not call.waiting and call.task is not None:
        call.task.cancel()


def _refuse(askers: Iterable[_Asker], error: Exception) -> None:
    for asker in askers:
        if not asker.reply.done():
            # Each its own: raising writes the places passed into the exception.
            asker.reply.set_exception(copy(error))


def _log_failure(call: _Call, call_id: str, error: GatewayError) -> None:
    if len(call.askers) > 1:
        # Under overload a line for each refusal would take the time of answers; they are counted.
        log = _LOG.debug if error.reason is Reason.QUEUE_FULL else _LOG.warning
        log(
            "joined_call_failed",
            request_id=call_id,
            reason=error.reason,
            of_requests=[asker.request_id for asker in call.askers],
        )
