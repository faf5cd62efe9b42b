"""One HTTP connection, held to limits that uvicorn does not have.

    a head that does not arrive in time     408, closed
    a head of too many bytes or fields      431, closed
    as much behind a body, or in a chunk's  431, or cut where the answer has begun
    a body that does not arrive in time     408, or cut where the answer has begun
    an answer that is not taken             cut
    more connections than may be            503, closed
    more requests at once than may wait     those that wait are answered, then closed
    what is not HTTP/1.1                    400, closed

There is one timer a connection, not one a request: a request only moves the deadline, and the timer
looks at it when it fires. So a fast request pays for a few attributes and for no timer.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.errors import GatewayError, Reason
from gateway.raw_answer import raw_problem
from gateway.upgrade import head_without_upgrade
from telemetry import request_id as request_ids
from telemetry.logs import get_logger

_LOG: Final = get_logger("gateway.connection")

_DETAILS: Final = {
    Reason.MALFORMED_HTTP: "this is no HTTP/1.1 request, or a CONNECT with a body",
    Reason.HEADERS_TOO_LARGE: "the head of the request is too large: send fewer, shorter fields",
    Reason.REQUEST_TIMEOUT: "the request took too long to arrive",
    Reason.TOO_MANY_CONNECTIONS: "too many connections: try again shortly",
}


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may do.

    Attributes:
        header_timeout_s: time in which a head must arrive.
        body_timeout_s: time in which a body must arrive.
        send_timeout_s: time in which at least 1 KiB of a waiting answer must be taken.
        max_connections: connections of the process at one time.
        max_head_bytes: largest head.
        max_headers: fields in a head.
        streamed_paths: paths whose routes limit the time of their bodies themselves.
    """

    header_timeout_s: float
    body_timeout_s: float
    send_timeout_s: float
    max_connections: int
    max_head_bytes: int
    max_headers: int
    streamed_paths: frozenset[str] = frozenset()

    @property
    def shortest_s(self) -> float:
        """How often a connection must be looked at."""
        return min(self.header_timeout_s, self.body_timeout_s, self.send_timeout_s)


class _Phase(Enum):
    """What the connection waits for, and what then; a dot: for the same as before.

                 a head begins    a head is whole    its body ends    an answer is given
        HEAD     .                BODY                                .
        BODY                                         ANSWER, HEAD     .
        ANSWER   HEAD, LAST                                           IDLE, .
        IDLE     HEAD
        LAST                                                          .

    BODY is STREAMED_BODY on the paths of streams, until the answer is given. HEAD comes behind a
    body whose answer was given before it ended, LAST behind too many requests that wait, and IDLE
    behind the last answer that is owed. Any byte ends IDLE.
    """

    HEAD = auto()
    BODY = auto()
    STREAMED_BODY = auto()  # its route counts: only that knows who waits for whom
    ANSWER = auto()  # the gateway is at work: its own deadline counts
    IDLE = auto()  # uvicorn's keep-alive timer counts
    LAST = auto()  # the answers that are owed: what comes now is not read


# Names of the module are found faster than members of the enum.
_HEAD: Final = _Phase.HEAD
_BODY: Final = _Phase.BODY
_STREAMED_BODY: Final = _Phase.STREAMED_BODY
_ANSWER: Final = _Phase.ANSWER
_IDLE: Final = _Phase.IDLE
_LAST: Final = _Phase.LAST
_ARRIVING: Final = frozenset({_HEAD, _BODY})

# The parser also takes HTTP/0.9, which has no fields, and an answer without a head.
_VERSIONS: Final = ("1.1", "1.0")
_CONNECT: Final = b"CONNECT"
_OF_A_BODY: Final = frozenset({b"content-length", b"transfer-encoding"})

# Requests that wait for the answer to one before them (pipelining), which hardly any client sends:
# each takes a hundred times the memory of its bytes, before anybody has asked whose it is.
_MOST_WAITING: Final = 8

# A caller that takes an answer byte by byte holds it in memory as well as one that takes nothing.
_LEAST_TAKEN_BYTES: Final = 1024


class GuardedConnection(HttpToolsProtocol):
    """uvicorn's connection with the limits above.

    Args:
        limits: of this connection.
        refused: told the reason of each refusal, for the metrics.
        uvicorns: what uvicorn gives its protocol.
    """

    def __init__(
        self, *, limits: ConnectionLimits, refused: Callable[[Reason], None], **uvicorns: Any
    ) -> None:
        super().__init__(**uvicorns)
        self._limits: Final = limits
        self._refused: Final = refused
        self._phase = _HEAD
        self._deadline_s = 0.0
        self._chunk_bytes = 0  # last received
        # Received since the head began, what precedes it in a chunk included: none only outside.
        self._head_bytes = 0
        # Received since the last part of the body came: fields behind it, or a chunk's extensions.
        self._trailer_bytes = 0
        self._refusal = Reason.MALFORMED_HTTP
        self._plain_head = b""  # to be parsed in place of the one that the parser has just left
        self._stall: _Stall | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head, unless there are too many connections."""
        super().connection_made(transport)
        self._begin_head()
        self._timer = self.loop.call_later(self._limits.shortest_s, self._watch)
        if len(self.connections) > self._limits.max_connections:
            self._refuse(Reason.TOO_MANY_CONNECTIONS)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, as long as the head or trailers that they belong to are not too large."""
        if self.transport.is_closing() or self._phase is _LAST:
            return
        self._chunk_bytes = len(data)
        phase = self._phase
        if phase is _HEAD:
            self._head_bytes += self._chunk_bytes
        elif phase is _IDLE:
            self._begin_head()
        else:
            self._trailer_bytes += self._chunk_bytes
        self._unset_keepalive_if_required()
        while data:
            data = self._parse(data)
        self._end_chunk()
        if self._too_large():
            self._refuse(Reason.HEADERS_TOO_LARGE)

    def _too_large(self) -> bool:
        """Whether more came of a head or of trailers than may."""
        if self._phase is _LAST:  # nothing of it was read
            return False
        if self._phase is _HEAD:
            # The parser keeps a field until it ends, however long, and calls nobody before.
            return self._head_bytes > self._limits.max_head_bytes
        return (
            self._trailer_bytes > self._limits.max_head_bytes
            or len(self.headers) > self._limits.max_headers
        )

    def _parse(self, data: bytes) -> bytes:
        """Let the parser read, and give what it is to read then."""
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as left:
            (read_bytes,) = left.args
            head, self._plain_head = self._plain_head, b""
            if head:
                # The old one skips all that follows on a connection that is to be closed.
                self.parser = HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
            return head + data[read_bytes:]
        except HttpParserError:  # of its own, or of a callback below
            if self._phase is not _LAST:
                self._refuse(self._refusal)
        return b""

    def on_message_begin(self) -> None:
        """A head begins, perhaps behind a request that is still being answered.

        Raises:
            HeadRefused: too many wait already.
        """
        if len(self.pipeline) >= _MOST_WAITING:
            # What is not answered may be sent again elsewhere (RFC 9112, 9.3.2).
            self.cycle.keep_alive = False
            self._phase = _LAST
            raise HeadRefused
        self._unset_keepalive_if_required()  # an answer within this chunk may have set it
        if self._phase is not _HEAD or self._head_bytes == 0:
            self._begin_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin the request, and wait for its body."""
        self._check_head()
        parser = self.parser
        if parser.should_upgrade() and parser.get_method() != _CONNECT:
            request_line = parser.get_method(), self.url, parser.get_http_version()
            self._plain_head = head_without_upgrade(request_line, self.headers)
        else:
            self._begin()

    def _check_head(self) -> None:
        """Refuse a head that no request may have.

        Raises:
            HeadRefused: for the reason `_refusal`.
        """
        if self.parser.get_http_version() not in _VERSIONS:
            raise HeadRefused
        # The parser takes what is behind such a head for the next request.
        if (
            self.parser.should_upgrade()
            and self.parser.get_method() == _CONNECT
            and any(name in _OF_A_BODY for name, _ in self.headers)
        ):
            raise HeadRefused
        limits = self._limits
        if len(self.headers) > limits.max_headers or (
            # What was received may hold a body as well: only then is it worth the exact count.
            self._head_bytes > limits.max_head_bytes
            and self._exact_head_bytes() > limits.max_head_bytes
        ):
            self._refusal = Reason.HEADERS_TOO_LARGE
            raise HeadRefused

    def _begin(self) -> None:
        """Begin a request whose head may pass."""
        super().on_headers_complete()
        # Fields behind a body (trailers) come after everything was decided by the head: nobody may
        # add to it then (RFC 9110, 6.5.1). They go into a list that nobody reads.
        self.headers = []
        self._trailer_bytes = 0
        limits = self._limits
        streamed = self.scope["path"] in limits.streamed_paths
        self._expect(_STREAMED_BODY if streamed else _BODY, limits.body_timeout_s)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._trailer_bytes = 0
        super().on_body(body)

    def _end_chunk(self) -> None:
        """Follow the parser, which has read all that was received so far."""

    def on_message_complete(self) -> None:
        """Wait for nothing but the answer; if it was given before the body's end, for a head."""
        if self._plain_head:  # the head is parsed again
            return
        super().on_message_complete()
        if self.cycle.response_complete:
            self._head_bytes = 0  # until it begins, perhaps in this chunk
            self._expect(_HEAD, self._limits.header_timeout_s)
        else:
            self._phase = _ANSWER

    def on_response_complete(self) -> None:
        """Leave the connection to uvicorn's keep-alive timer, if that is what it now waits for."""
        super().on_response_complete()
        if self._phase is _STREAMED_BODY:
            # Answered before its end, nobody reads it any more; else the answer was an earlier one.
            if self.cycle.response_complete:
                self._expect(_BODY, self._limits.body_timeout_s)
        elif self._phase is _ANSWER and self.timeout_keep_alive_task is not None:
            self._phase = _IDLE

    def pause_writing(self) -> None:
        """The caller is behind with its answer: watch whether it takes any."""
        super().pause_writing()
        self._stall = _Stall(self.transport.get_write_buffer_size(), self.loop.time())

    def resume_writing(self) -> None:
        """The caller has caught up."""
        super().resume_writing()
        self._stall = None

    def _begin_head(self) -> None:
        self._head_bytes = self._chunk_bytes
        self._expect(_HEAD, self._limits.header_timeout_s)

    def _expect(self, phase: _Phase, timeout_s: float) -> None:
        self._phase = phase
        self._deadline_s = self.loop.time() + timeout_s

    def _exact_head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _watch(self) -> None:
        """Look at the deadlines, and come back when the next may have passed."""
        now = self.loop.time()
        closing = self.transport.is_closing()
        if closing and self._stall is None:
            self._stall = _Stall(self.transport.get_write_buffer_size(), now)
        if self._stall is not None and self._stalled(self._stall, now):
            self._refused(Reason.REQUEST_TIMEOUT)
            self.transport.abort()
            return
        waiting = self._phase in _ARRIVING and not closing
        if waiting and now >= self._deadline_s:
            self._refuse(Reason.REQUEST_TIMEOUT)
        left_s = self._deadline_s - now if waiting else 0.0
        shortest_s = self._limits.shortest_s
        self._timer = self.loop.call_later(
            left_s if 0 < left_s < shortest_s else shortest_s, self._watch
        )

    def _stalled(self, stall: "_Stall", now: float) -> bool:
        """Whether too little of the answer was taken for too long; progress begins anew."""
        unsent_bytes = self.transport.get_write_buffer_size()
        if unsent_bytes <= stall.unsent_bytes - _LEAST_TAKEN_BYTES:
            self._stall = _Stall(unsent_bytes, now)
            return False
        return now - stall.since_s >= self._limits.send_timeout_s

    def _refuse(self, reason: Reason) -> None:
        """Answer, where an answer would be taken for this request's, and close."""
        if self.transport.is_closing():
            return
        self._refused(reason)
        request_id = request_ids.new()
        _LOG.info("connection_refused", request_id=request_id, reason=reason)
        if self._may_answer(reason):
            self.transport.write(refusal(reason, request_id))
        cycle = self._latest_cycle()
        if cycle is not None and not cycle.response_complete:
            # Whoever works for this connection learns that nobody waits.
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()

    def _is_between_requests(self) -> bool:
        """Whether all that has arrived is answered."""
        phase = self._phase
        nothing_arrived = phase is _IDLE or (phase is _HEAD and self._head_bytes == 0)
        return nothing_arrived and self._is_alone() and not self.transport.is_closing()

    def _is_alone(self) -> bool:
        """Whether every request before the one that now arrives has been answered."""
        cycle = self._latest_cycle()
        return not self.pipeline and (cycle is None or cycle.response_complete)

    def _end_answer(self) -> None:
        """Wait for the next request after an answer that no app has given."""
        self._phase = _ANSWER
        self.on_response_complete()

    def _latest_cycle(self) -> RequestResponseCycle | None:
        """The request that began last; uvicorn's type forgets that there may be none."""
        return self.cycle

    def _may_answer(self, reason: Reason) -> bool:
        if self.pipeline:
            return False
        cycle = self._latest_cycle()
        if cycle is None or cycle.response_complete:
            # A connection on which no request has begun ends without a word, as idle ones do.
            silent = reason is Reason.REQUEST_TIMEOUT and self._head_bytes == 0
            return self._phase is _HEAD and not silent
        return self._phase in (_BODY, _STREAMED_BODY) and (not cycle.response_started)


@dataclass(frozen=True, slots=True)
class _Stall:
    """An answer that is not taken.

    Attributes:
        unsent_bytes: what was left of it.
        since_s: when, in the loop's seconds.
    """

    unsent_bytes: int
    since_s: float


class HeadRefused(Exception):
    """Ends the parsing of a head."""


def refusal(reason: Reason, request_id: str) -> bytes:
    """Write the last answer of a connection, for where there is no request to answer."""
    return raw_problem(GatewayError(reason, _DETAILS[reason]), request_id, "connection: close")
