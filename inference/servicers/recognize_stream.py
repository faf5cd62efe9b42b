"""The call `RecognizeStream`: items in, answers out in their order, a bounded number at a time.

A caller who reads slowly holds his places, and gRPC's flow control then holds him: the server reads
no further. Whatever ends the call cancels its tasks, and the engine drops what has not begun to
run.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, replace

import grpc

from inference.core import Entity, RecognizeQuery
from inference.engine import Engine
from inference.errors import (
    Draining,
    Reason,
    RecognitionError,
    RequestInvalid,
    TextRejected,
)
from inference.metrics import Metrics
from inference.servicers.call import expiry_ns, request_id_of
from inference.servicers.ordered_stream import OrderedStream
from inference.servicers.outcome import CANCELLED, cancellation_counted, fail
from inference.servicers.status import proto_reason
from inference.servicers.stream_room import StreamRoom, StreamRooms
from protos.ner.v1 import entity_recognizer_pb2 as pb
from telemetry import logs

_log = logs.get_logger(__name__)

# Tells a stream that was accepted from one that failed before its metadata was sent.
ACCEPTED = (("nerve-stream", "accepted"),)

Requests = AsyncIterator[pb.RecognizeStreamRequest]
Context = grpc.aio.ServicerContext[pb.RecognizeStreamRequest, pb.RecognizeStreamResponse]
_Stream = OrderedStream[pb.RecognizeStreamItem, pb.RecognizeStreamResponse]


@dataclass(frozen=True, slots=True)
class Translation:
    """How messages that streams share with `Recognize` are translated."""

    query_of: Callable[[pb.RecognizeRequest], RecognizeQuery]
    fill: Callable[[pb.TextResult, list[Entity] | TextRejected], None]


class RecognizeStreams:
    """Serves streams, and ends them when the service drains.

    Args:
        engine: answers the items.
        metrics: where items and calls are counted.
        pending_items: most items of a stream that are read and not yet answered; at least 1.
        translation: of options and results.
    """

    def __init__(
        self, engine: Engine, metrics: Metrics, pending_items: int, translation: Translation
    ) -> None:
        self._engine = engine
        self._rooms = StreamRooms(engine)
        self._metrics = metrics
        self._pending_items = pending_items
        self._translation = translation
        self._open: set[_Stream] = set()
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """Lets every stream answer what it has read and then end as DRAINING; takes no new one."""
        self._draining.set()
        for stream in self._open:
            stream.stop()

    async def serve(self, requests: Requests, context: Context) -> None:
        """Answers one stream; see the .proto."""
        try:
            with cancellation_counted(self._metrics):
                outcome = await self._serve(requests, context)
        except Exception as error:  # noqa: BLE001 - the edge: nothing may escape unnamed
            await fail(self._metrics, context, error)
        self._metrics.call(outcome)

    async def _serve(self, requests: Requests, context: Context) -> str:
        """Answers one stream; gives the outcome of the call, where that is no failure."""
        first = await self._first(requests)
        start = first.start if first is not None else pb.RecognizeStreamStart()
        query = self._translation.query_of(_call_of(start))
        await self._engine.check_options(query, expiry_ns(context))
        await context.send_initial_metadata(ACCEPTED)
        room = self._rooms.of(query)
        call = _Call(room, self._metrics, self._translation, query, context)
        stream = OrderedStream(call.answer, call.write, self._pending_items)
        self._open.add(stream)
        outcome = "OK"
        if self._draining.is_set():  # while its model was awaited
            stream.stop()
        try:
            ended = await stream.run(call.items(first, requests))
        except* CallerGone:
            # Its items have been cancelled with it, and there is nobody to tell.
            _log.debug("stream_caller_gone", request_id=request_id_of(context))
            ended, outcome = True, CANCELLED
        finally:
            self._open.discard(stream)
            call.close()
        if call.failure is not None:
            raise call.failure
        if not ended:
            raise Draining
        return outcome

    async def _first(self, requests: Requests) -> pb.RecognizeStreamRequest | None:
        """The first message, for which a drain does not wait; none where there is no message."""
        if self._draining.is_set():
            raise Draining
        reading = asyncio.ensure_future(anext(requests, None))
        draining = asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait({reading, draining}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                raise Draining
            return reading.result()
        finally:
            reading.cancel()
            draining.cancel()


class CallerGone(Exception):
    """An answer could not be written: the call has ended."""


class _Call:
    """One stream's items: from message to answer.

    Args:
        room: answers.
        metrics: where items are counted.
        translation: of results.
        query: every item's, but for its text.
        context: of the call.
    """

    def __init__(
        self,
        room: StreamRoom,
        metrics: Metrics,
        translation: Translation,
        query: RecognizeQuery,
        context: Context,
    ) -> None:
        self._room = room
        self._metrics = metrics
        self._translation = translation
        self._query = query
        self._context = context
        self._pending = 0
        self.failure: RecognitionError | None = None

    def close(self) -> None:
        """Counts what is pending no longer."""
        self._count(-self._pending)

    async def items(
        self, first: pb.RecognizeStreamRequest | None, requests: Requests
    ) -> AsyncGenerator[pb.RecognizeStreamItem]:
        """Gives the items; a `start` that is not the first message ends them with a failure."""
        if first is not None and first.HasField("item"):
            self._count(1)
            yield first.item
        async for request in requests:
            if not request.HasField("item"):
                self.failure = RequestInvalid(
                    Reason.OPTION_INVALID, "start must be the first message of the stream"
                )
                return
            self._count(1)
            yield request.item

    async def answer(self, item: pb.RecognizeStreamItem) -> pb.RecognizeStreamResponse:
        """Answers one item; whatever is wrong with it becomes its answer."""
        try:
            query = replace(self._query, texts=[item.text])
            answer = await self._room.recognize(query, expiry_ns(self._context))
        except RecognitionError as error:
            return self._failed(item, error.reason, error.detail)
        except Exception:  # noqa: BLE001 - one item must not end the stream
            call_id = request_id_of(self._context)
            _log.exception("stream_item_failed", request_id=call_id)
            return self._failed(item, Reason.INTERNAL, f"internal error (request id {call_id})")
        (result,) = answer.results
        self._metrics.text(result.reason if isinstance(result, TextRejected) else "OK")
        response = pb.RecognizeStreamResponse(
            id=item.id, model=answer.model, version=answer.version
        )
        self._translation.fill(response.result, result)
        return response

    async def write(self, response: pb.RecognizeStreamResponse) -> None:
        """Writes an answer; waits while the caller does not read: that is gRPC's flow control.

        Raises:
            CallerGone: the call has ended.
        """
        try:
            await self._context.write(response)
        except Exception as error:  # gRPC's own have no public base
            raise CallerGone from error
        self._count(-1)

    def _failed(
        self, item: pb.RecognizeStreamItem, reason: Reason, detail: str
    ) -> pb.RecognizeStreamResponse:
        self._metrics.text(reason)
        error = pb.TextError(reason=proto_reason(reason), detail=detail)
        return pb.RecognizeStreamResponse(id=item.id, result=pb.TextResult(error=error))

    def _count(self, items: int) -> None:
        self._pending += items
        self._metrics.stream_items_pending.inc(items)


def _call_of(start: pb.RecognizeStreamStart) -> pb.RecognizeRequest:
    """The call that an item would be by itself; nobody waits for a single one of a stream."""
    call = pb.RecognizeRequest(model=start.model, version=start.version, options=start.options)
    if call.options.priority == pb.PRIORITY_UNSPECIFIED:
        call.options.priority = pb.BULK
    return call
