"""One stream of lines over HTTP, answered over gRPC: both bodies at the same time.

    request body → lines → window → gRPC        (the reading task)
                             ▲       │
                             └─ answered line ← gRPC      (the writing task)

Answers are written in the order of the lines. Whoever is slow slows all before him, and nothing is
held but the window: a caller who does not read stops the writing task in `send`, which fills the
window, which stops the reading task, which stops reading from the socket and from writing to gRPC.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from gateway.callers import told
from gateway.client import InferenceClient
from gateway.deadline import Deadline
from gateway.errors import GatewayError, Reason
from gateway.metrics import GatewayMetrics
from gateway.middleware import note_reason, request_id_of
from gateway.ndjson import Line, LineSplitter
from gateway.recognition_stream import RecognitionStream
from gateway.stream_window import StreamWindow
from gateway.stream_wire import PendingLine, answer_line, failure_line, parse_line
from protos.ner.v1 import entity_recognizer_pb2 as pb

MEDIA_TYPE: Final = "application/x-ndjson"

_DRAINING: Final = "the server is shutting down: send again what was not answered"

# A caller that sends nothing for so long has heard that its stream ends, or waits for that.
_PAUSE_S: Final = 0.5
# For one that goes on sending, a part of the time that a drain has (GATEWAY_DRAIN_TIMEOUT_S).
_LINGER_S: Final = 5.0

Charge = Callable[[str], Awaitable[None]]

_HEADERS: Final = (
    (b"content-type", MEDIA_TYPE.encode()),
    (b"cache-control", b"no-store"),
    # nginx would hold answers back until it has a buffer full of them.
    (b"x-accel-buffering", b"no"),
)


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What a stream may hold, and how long it may wait for its caller.

    Attributes:
        max_line_bytes: of one line, and of all pending lines together.
        pending_items: lines that are read and not yet answered.
        idle_timeout_s: without a chunk sent, or read, by the caller.
        open_timeout_s: until the model is known and inference has accepted the options.
    """

    max_line_bytes: int
    pending_items: int
    idle_timeout_s: float
    open_timeout_s: float


class Exchange:
    """The ASGI application that answers one request with a stream.

    Args:
        client: opens the gRPC stream.
        metrics: where lines are counted.
        limits: of the stream.
        start: the options of every line.
        deadline: until which inference must have accepted them.
        charge: counts a line's text for its caller's limits, or refuses it; None counts nothing.
    """

    def __init__(
        self,
        client: InferenceClient,
        metrics: GatewayMetrics,
        limits: StreamLimits,
        start: pb.RecognizeStreamStart,
        deadline: Deadline,
        charge: Charge | None = None,
    ) -> None:
        self._client: Final = client
        self._start: Final = start
        self._deadline: Final = deadline
        self._lines: Final = _Lines(metrics, limits, charge)

    def stop(self) -> None:
        """Read no further: what was read is answered, and the stream ends as DRAINING."""
        self._lines.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request; whatever ends it closes the gRPC stream.

        Raises:
            GatewayError: the options are refused; nothing has been answered.
            ClientDisconnect: the caller went away, or does not read.
        """
        stream = await self._client.open_stream(
            self._start, self._deadline.left_s, request_id_of(scope)
        )
        gone = False
        try:
            async with asyncio.TaskGroup() as tasks:
                # First, because its first step is the `100 Continue` that the caller may wait for.
                reading = tasks.create_task(self._lines.read(receive, stream))
                tasks.create_task(self._lines.write(scope, send, stream, reading))
        except* ClientDisconnect:
            gone = True
        finally:
            stream.close()
            self._lines.close()
        if gone:
            raise ClientDisconnect


class _Lines:
    """The lines of a stream that are pending, and the two tasks that add and answer them."""

    def __init__(
        self, metrics: GatewayMetrics, limits: StreamLimits, charge: Charge | None
    ) -> None:
        self._charge = charge
        self._metrics = metrics
        self._limits = limits
        self._window = StreamWindow(limits.pending_items, limits.max_line_bytes)
        # In the order of the lines; None ends it, an error ends the stream. As long as the window.
        self._pending: asyncio.Queue[PendingLine | GatewayError | None] = asyncio.Queue()
        self._stopped = False
        self._patience: asyncio.Timeout | None = None  # with a caller that is waited for

    def stop(self) -> None:
        """Read no further, and end the stream once what was read is answered."""
        self._stopped = True
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(0)

    def close(self) -> None:
        """Count what is pending no longer."""
        self._metrics.stream_items_pending.dec(self._window.items)

    async def read(self, receive: Receive, stream: RecognitionStream) -> None:
        """Send the lines to inference until the caller has sent all, sends none, or `stop`.

        Raises:
            ClientDisconnect: the caller went away.
        """
        try:
            await self._take_all(receive, stream)
        except GatewayError as error:
            self._pending.put_nowait(error)
            if self._stopped:
                await _discard(receive)
        else:
            self._pending.put_nowait(None)

    async def write(
        self, scope: Scope, send: Send, stream: RecognitionStream, reading: asyncio.Task[None]
    ) -> None:
        """Answer line after line, until the last or until inference fails; then reading ends too.

        Raises:
            ClientDisconnect: the caller does not read. (uvicorn then closes the connection; while
                the caller keeps it open, the socket's buffers stay, and nothing else.)
        """
        head = {"type": "http.response.start", "status": 200, "headers": list(_HEADERS)}
        await self._send(send, head)
        try:
            while (pending := await self._pending.get()) is not None:
                if isinstance(pending, GatewayError):
                    raise pending
                await self._send(send, _body(await _answer(pending, scope, stream, self._metrics)))
                self._window.leave(pending.line_bytes)
                self._metrics.stream_items_pending.dec()
        except GatewayError as error:
            note_reason(scope, error.reason)
            await self._send(send, _body(failure_line(None, told(scope, error))))
            if self._stopped:
                await asyncio.wait([reading], timeout=_LINGER_S)
        await self._send(send, _body(b"", more=False))
        reading.cancel()

    async def _take_all(self, receive: Receive, stream: RecognitionStream) -> None:
        splitter = LineSplitter(self._limits.max_line_bytes)
        more = True
        while more:
            message = await self._receive(receive)
            more = message.get("more_body", False)
            for line in splitter.feed(message.get("body", b"")):
                await self._take(line, stream)
        for line in splitter.finish():
            await self._take(line, stream)
        await stream.done_writing()

    async def _take(self, line: Line, stream: RecognitionStream) -> None:
        self._check_stopped()
        await self._window.enter(0 if line.content is None else len(line.content))
        self._metrics.stream_items_pending.inc()
        pending = parse_line(line, self._limits.max_line_bytes)
        if self._charge is not None and pending.text is not None:
            try:
                await self._charge(pending.text)
            except GatewayError as error:
                # The line's own failure: the caller reads when to come back, the stream goes on.
                pending = replace(pending, text=None, error=error)
        self._pending.put_nowait(pending)
        if pending.text is not None:
            self._metrics.texts.inc()
            await stream.write(pending.number, pending.text)

    async def _receive(self, receive: Receive) -> Message:
        """The next part of the body.

        Raises:
            GatewayError: the caller is idle and waits for nothing, or `stop`.
            ClientDisconnect: the caller went away.
        """
        while True:
            self._check_stopped()
            try:
                async with asyncio.timeout(self._limits.idle_timeout_s) as self._patience:
                    message = await receive()
            except TimeoutError:
                if self._stopped or self._window.items:
                    continue
                detail = f"no line came for {self._limits.idle_timeout_s:g} s"
                raise GatewayError(Reason.DEADLINE_EXCEEDED, detail) from None
            finally:
                self._patience = None
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            return message

    def _check_stopped(self) -> None:
        if self._stopped:
            raise GatewayError(Reason.DRAINING, _DRAINING)

    async def _send(self, send: Send, message: Message) -> None:
        try:
            # uvicorn waits here while the caller's buffers are full.
            async with asyncio.timeout(self._limits.idle_timeout_s):
                await send(message)
        except TimeoutError:
            raise ClientDisconnect from None


async def _discard(receive: Receive) -> None:
    """Read what a caller still sends, until it ends or pauses.

    The connection is closed behind the answer: with bytes on it that nobody has read the system
    resets it, and the last lines are lost on their way.
    """
    with contextlib.suppress(TimeoutError):
        more = True
        while more:
            async with asyncio.timeout(_PAUSE_S):
                more = (await receive()).get("more_body", False)


async def _answer(
    pending: PendingLine, scope: Scope, stream: RecognitionStream, metrics: GatewayMetrics
) -> bytes:
    if pending.error is not None:
        return failure_line(pending, pending.error)
    response = await stream.read()
    if response.model:  # what was refused before a model saw it has none
        metrics.answered(response.model, response.version, 1)
    try:
        return answer_line(pending, response)
    except GatewayError as error:
        return failure_line(pending, told(scope, error))


def _body(content: bytes, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": more}
