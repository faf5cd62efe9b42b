"""The call `Classify`: Hugging Face's answer."""

from collections.abc import Mapping

import grpc

from inference.core import Aggregation, ClassifyAnswer, ClassifyQuery, TokenGroup
from inference.engine import Engine
from inference.errors import Reason, RequestInvalid, TextRejected
from inference.metrics import Metrics
from inference.servicers.call import expiry_ns
from inference.servicers.outcome import cancellation_counted, count_answer, fail
from inference.servicers.status import proto_reason
from protos.ner.v1 import entity_recognizer_pb2 as pb

STRATEGIES: Mapping[int, Aggregation] = {
    pb.AGGREGATION_UNSPECIFIED: Aggregation.SIMPLE,
    pb.FIRST: Aggregation.FIRST,
    pb.SIMPLE: Aggregation.SIMPLE,
    pb.AVERAGE: Aggregation.AVERAGE,
    pb.MAX: Aggregation.MAX,
    pb.NONE: Aggregation.NONE,
}


class ClassificationCall:
    """Translates between the wire and the engine.

    Args:
        engine: answers the calls.
        metrics: where calls are counted.
    """

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics

    async def serve(
        self,
        request: pb.ClassifyRequest,
        context: grpc.aio.ServicerContext[pb.ClassifyRequest, pb.ClassifyResponse],
    ) -> pb.ClassifyResponse:
        """Answers one call; see the .proto."""
        try:
            with (
                cancellation_counted(self._metrics),
                self._metrics.calls_in_flight.track_inprogress(),
            ):
                answer = await self._engine.classify(classify_query(request), expiry_ns(context))
        except Exception as error:  # noqa: BLE001 - the edge: nothing may escape unnamed
            await fail(self._metrics, context, error)
        count_answer(self._metrics, answer)
        return _response(answer)


def classify_query(request: pb.ClassifyRequest) -> ClassifyQuery:
    """Translates a request.

    Raises:
        RequestInvalid: an enum holds a number that this server does not know.
    """
    aggregation = STRATEGIES.get(request.aggregation)
    if aggregation is None:
        raise RequestInvalid(Reason.OPTION_INVALID, "aggregation has an unknown value")
    return ClassifyQuery(
        texts=list(request.texts),
        model=request.model,
        version=request.version,
        aggregation=aggregation,
        ignored_labels=frozenset(request.ignore_labels),
        stride=request.stride if request.HasField("stride") else None,
    )


def _response(answer: ClassifyAnswer) -> pb.ClassifyResponse:
    timings = answer.timings
    return pb.ClassifyResponse(
        model=answer.model,
        version=answer.version,
        results=[_result(result) for result in answer.results],
        timings=pb.Timings(
            tokenize_ns=timings.tokenize_ns,
            queue_ns=timings.queue_ns,
            inference_ns=timings.inference_ns,
            decode_ns=timings.decode_ns,
        ),
    )


def _result(result: list[TokenGroup] | TextRejected) -> pb.TextClassification:
    if isinstance(result, TextRejected):
        error = pb.TextError(reason=proto_reason(result.reason), detail=result.detail)
        return pb.TextClassification(error=error)
    groups = [
        pb.TokenGroup(
            label=group.label,
            score=group.score,
            word=group.word,
            start=group.start,
            end=group.end,
            index=group.index,
        )
        for group in result
    ]
    return pb.TextClassification(groups=pb.TokenGroups(groups=groups))
