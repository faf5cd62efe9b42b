"""How a call ends: counted once, and with the status of its error if it failed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, NoReturn, Protocol, TypeVar

import grpc

from inference.core import ClassifyAnswer, RecognizeAnswer
from inference.errors import Reason, RecognitionError, TextRejected
from inference.metrics import Metrics
from inference.servicers.call import request_id_of
from inference.servicers.status import abort
from telemetry import logs

_log = logs.get_logger(__name__)

CANCELLED = "CANCELLED"  # the outcome of a call that nobody waits for any more

_Servicer = TypeVar("_Servicer", contravariant=True)
_Request = TypeVar("_Request", contravariant=True)
_Response = TypeVar("_Response", covariant=True)


class _Method(Protocol[_Servicer, _Request, _Response]):
    """A method of a servicer."""

    def __call__(
        self, servicer: _Servicer, request: _Request, context: Any, /
    ) -> Awaitable[_Response]: ...


def named(error: Exception, context: grpc.aio.ServicerContext[Any, Any]) -> RecognitionError:
    """The error as a caller may see it; one that nobody expected is logged here."""
    if isinstance(error, RecognitionError):
        return error
    request_id = request_id_of(context)
    _log.error("call_failed", request_id=request_id, exc_info=error)
    return RecognitionError(Reason.INTERNAL, f"internal error (request id {request_id})")


async def fail(
    metrics: Metrics, context: grpc.aio.ServicerContext[Any, Any], error: Exception
) -> NoReturn:
    """Counts a call that failed, and ends it with the status of its error."""
    told = named(error, context)
    metrics.call(told.reason)
    await abort(context, told)


@contextmanager
def cancellation_counted(metrics: Metrics) -> Iterator[None]:
    """Counts a call that is cancelled while this is entered; the cancellation goes on."""
    try:
        yield
    except asyncio.CancelledError:
        metrics.call(CANCELLED)
        raise


def answered_or_aborted(
    method: _Method[_Servicer, _Request, _Response],
) -> Callable[[_Servicer, _Request, Any], Awaitable[_Response]]:
    """Ends a call whose method raises with the status of the error."""

    @wraps(method)
    async def answer(servicer: _Servicer, request: _Request, context: Any) -> _Response:
        try:
            return await method(servicer, request, context)
        except Exception as error:  # noqa: BLE001 - the edge: nothing may escape unnamed
            await abort(context, named(error, context))

    return answer


def count_answer(metrics: Metrics, answer: RecognizeAnswer | ClassifyAnswer) -> None:
    """Records a call that was answered, and its texts."""
    metrics.call("OK", answer.timings, f"{answer.model}/{answer.version}")
    rejected = [result.reason for result in answer.results if isinstance(result, TextRejected)]
    for reason in rejected:
        metrics.text(reason)
    metrics.text("OK", len(answer.results) - len(rejected))
