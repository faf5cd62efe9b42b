"""What every servicer reads from a call, and how its errors end it."""

import time
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

import grpc

from inference.core import RecognizeAnswer
from inference.errors import Reason, RecognitionError, TextRejected
from inference.metrics import Metrics
from inference.servicers.status import abort
from telemetry import logs, request_id

_log = logs.get_logger(__name__)
_NS_PER_S = 1_000_000_000

_Servicer = TypeVar("_Servicer", contravariant=True)
_Request = TypeVar("_Request", contravariant=True)
_Response = TypeVar("_Response", covariant=True)


class _Method(Protocol[_Servicer, _Request, _Response]):
    """A unary method of a servicer."""

    def __call__(
        self, servicer: _Servicer, request: _Request, context: Any, /
    ) -> Awaitable[_Response]: ...


def expiry_ns(context: grpc.aio.ServicerContext[Any, Any]) -> int | None:
    """The caller's deadline on the monotonic clock; None if there is none."""
    # The stubs forget that a caller may set no deadline.
    remaining_s = cast("float | None", context.time_remaining())
    return None if remaining_s is None else time.monotonic_ns() + int(remaining_s * _NS_PER_S)


def call_id(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """The request id that the caller sent, or a new one."""
    metadata = context.invocation_metadata()
    sent = [value for key, value in metadata or () if key == request_id.HEADER]
    return request_id.accept(sent[0] if sent and isinstance(sent[0], str) else None)


def named(error: Exception, context: grpc.aio.ServicerContext[Any, Any]) -> RecognitionError:
    """The error as a caller may see it; one that nobody expected is logged here."""
    if isinstance(error, RecognitionError):
        return error
    call = call_id(context)
    _log.error("call_failed", request_id=call, exc_info=error)
    return RecognitionError(Reason.INTERNAL, f"internal error (request id {call})")


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


def count_answer(metrics: Metrics, answer: RecognizeAnswer) -> None:
    """Records a call that was answered, and its texts."""
    metrics.call("OK", answer.timings)
    rejected = [result.reason for result in answer.results if isinstance(result, TextRejected)]
    for reason in rejected:
        metrics.text(reason)
    metrics.text("OK", len(answer.results) - len(rejected))
