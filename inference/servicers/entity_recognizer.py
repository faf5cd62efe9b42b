"""The service `ner.v1.EntityRecognizer`."""

from collections.abc import AsyncIterator, Mapping

import grpc

from inference.core import (
    Aggregation,
    Entity,
    OffsetUnit,
    Priority,
    RecognizeAnswer,
    RecognizeQuery,
)
from inference.engine import Engine
from inference.errors import Reason, RequestInvalid, TextRejected
from inference.metrics import Metrics
from inference.repository import VersionState
from inference.servicers.call import expiry_ns
from inference.servicers.classification import ClassificationCall
from inference.servicers.outcome import cancellation_counted, count_answer, fail
from inference.servicers.recognize_stream import RecognizeStreams, Translation
from inference.servicers.status import proto_reason
from protos.ner.v1 import entity_recognizer_pb2 as pb
from protos.ner.v1.entity_recognizer_pb2_grpc import EntityRecognizerServicer

AGGREGATIONS: Mapping[int, Aggregation] = {
    pb.AGGREGATION_UNSPECIFIED: Aggregation.FIRST,
    pb.FIRST: Aggregation.FIRST,
    pb.SIMPLE: Aggregation.SIMPLE,
    pb.AVERAGE: Aggregation.AVERAGE,
    pb.MAX: Aggregation.MAX,
    pb.NONE: Aggregation.NONE,
}
OFFSET_UNITS: Mapping[int, OffsetUnit] = {
    pb.OFFSET_UNIT_UNSPECIFIED: OffsetUnit.CODEPOINT,
    pb.CODEPOINT: OffsetUnit.CODEPOINT,
    pb.UTF16: OffsetUnit.UTF16,
    pb.BYTE: OffsetUnit.BYTE,
}
PRIORITIES: Mapping[int, Priority] = {
    pb.PRIORITY_UNSPECIFIED: Priority.INTERACTIVE,
    pb.INTERACTIVE: Priority.INTERACTIVE,
    pb.BULK: Priority.BULK,
}


class RecognizerServicer(EntityRecognizerServicer):
    """Translates between the wire and the engine.

    Args:
        engine: answers the calls.
        metrics: where calls are counted.
        stream_pending_items: most items of a stream that are read and not yet answered.
    """

    def __init__(self, engine: Engine, metrics: Metrics, stream_pending_items: int) -> None:
        self._engine = engine
        self._metrics = metrics
        self._classification = ClassificationCall(engine, metrics)
        translation = Translation(query_of, _fill)
        self._streams = RecognizeStreams(engine, metrics, stream_pending_items, translation)

    def drain(self) -> None:
        """Lets every stream answer what it has read and then end; other calls end by themselves."""
        self._streams.drain()

    async def Recognize(
        self,
        request: pb.RecognizeRequest,
        context: grpc.aio.ServicerContext[pb.RecognizeRequest, pb.RecognizeResponse],
    ) -> pb.RecognizeResponse:
        """Answers one call; see the .proto."""
        try:
            with (
                cancellation_counted(self._metrics),
                self._metrics.calls_in_flight.track_inprogress(),
            ):
                answer = await self._engine.recognize(query_of(request), expiry_ns(context))
        except Exception as error:  # noqa: BLE001 - the edge: nothing may escape unnamed
            await fail(self._metrics, context, error)
        count_answer(self._metrics, answer)
        return response_of(answer)

    async def RecognizeStream(  # type: ignore[override]  # it writes through the context
        self,
        request_iterator: AsyncIterator[pb.RecognizeStreamRequest],
        context: grpc.aio.ServicerContext[pb.RecognizeStreamRequest, pb.RecognizeStreamResponse],
    ) -> None:
        """Answers items as they come; see the .proto."""
        await self._streams.serve(request_iterator, context)

    async def Classify(
        self,
        request: pb.ClassifyRequest,
        context: grpc.aio.ServicerContext[pb.ClassifyRequest, pb.ClassifyResponse],
    ) -> pb.ClassifyResponse:
        """Answers one call as Hugging Face's pipeline would; see the .proto."""
        return await self._classification.serve(request, context)

    async def ListModels(
        self,
        request: pb.ListModelsRequest,
        context: grpc.aio.ServicerContext[pb.ListModelsRequest, pb.ListModelsResponse],
    ) -> pb.ListModelsResponse:
        """Lists the repository; see the .proto."""
        repository = self._engine.repository
        return pb.ListModelsResponse(
            models=[_model_version(state) for state in repository.versions],
            default_model=repository.default_model,
        )


def query_of(request: pb.RecognizeRequest) -> RecognizeQuery:
    """Translates a request.

    Raises:
        RequestInvalid: an enum holds a number that this server does not know.
    """
    options = request.options
    aggregation = AGGREGATIONS.get(options.aggregation)
    offset_unit = OFFSET_UNITS.get(options.offset_unit)
    priority = PRIORITIES.get(options.priority)
    if aggregation is None or offset_unit is None or priority is None:
        field = "priority"
        if aggregation is None or offset_unit is None:
            field = "aggregation" if aggregation is None else "offset_unit"
        raise RequestInvalid(Reason.OPTION_INVALID, f"{field} has an unknown value")
    return RecognizeQuery(
        texts=list(request.texts),
        model=request.model,
        version=request.version,
        labels=frozenset(options.labels),
        min_score=options.min_score if options.HasField("min_score") else None,
        aggregation=aggregation,
        offset_unit=offset_unit,
        priority=priority,
    )


def response_of(answer: RecognizeAnswer) -> pb.RecognizeResponse:
    """Translates an answer.

    Messages are made in their place: built apart and handed over, each would be copied.
    """
    timings = answer.timings
    response = pb.RecognizeResponse(model=answer.model, version=answer.version)
    response.timings.tokenize_ns = timings.tokenize_ns
    response.timings.queue_ns = timings.queue_ns
    response.timings.inference_ns = timings.inference_ns
    response.timings.decode_ns = timings.decode_ns
    for result in answer.results:
        _fill(response.results.add(), result)
    return response


def _fill(message: pb.TextResult, result: list[Entity] | TextRejected) -> None:
    if isinstance(result, TextRejected):
        message.error.reason = proto_reason(result.reason)
        message.error.detail = result.detail
        return
    # Present also where it stays empty: a text without entities has an outcome.
    message.entities.SetInParent()
    add = message.entities.entities.add
    for e in result:
        add(text=e.text, label=e.label, start=e.start, end=e.end, score=e.score)


def _model_version(state: VersionState) -> pb.ModelVersion:
    return pb.ModelVersion(
        name=state.name,
        version=state.version,
        state=pb.ModelVersion.State.Value(state.standing.value),
        detail=state.detail,
        live=state.live,
        labels=state.traits.labels,
        max_window_tokens=state.traits.window_tokens,
        aliases=state.aliases,
        memory_bytes=state.memory_bytes,
        min_score=state.traits.min_score,
        label_consistency=state.traits.label_consistency,
    )
