"""Errors as gRPC statuses, with machine-readable details.

Source: the rich error model of google.rpc (`Status`, `ErrorInfo`, `RetryInfo`), carried in the
trailing metadata `grpc-status-details-bin`.
"""

from typing import NoReturn, TypeVar

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from inference.errors import QueueFull, Reason, RecognitionError
from protos.ner.v1 import entity_recognizer_pb2 as pb

DOMAIN = "nerve"
Request = TypeVar("Request")
Response = TypeVar("Response")
_DETAILS = "grpc-status-details-bin"
_NS_PER_S = 1_000_000_000
# A message travels twice in the trailing metadata, once with each byte as up to three, and gRPC
# takes 8 KiB of metadata: above it the caller would hear RESOURCE_EXHAUSTED, and no reason.
_MAX_MESSAGE_BYTES = 1_024

# Overload is RESOURCE_EXHAUSTED: clients retry UNAVAILABLE by themselves, at once and elsewhere.
STATUS_OF_REASON: dict[Reason, grpc.StatusCode] = {
    Reason.TEXT_EMPTY: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.TEXT_TOO_LONG: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.NO_TEXTS: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.TOO_MANY_TEXTS: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.MODEL_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.VERSION_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.LABEL_UNKNOWN: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.OPTION_INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.QUEUE_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    Reason.DRAINING: grpc.StatusCode.UNAVAILABLE,
    Reason.INTERNAL: grpc.StatusCode.INTERNAL,
    Reason.TENSOR_INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    # Its definition: "not implemented or not supported/enabled in this service".
    Reason.MODEL_CONTROL_OFF: grpc.StatusCode.UNIMPLEMENTED,
    Reason.MODEL_INVALID: grpc.StatusCode.FAILED_PRECONDITION,
}


def proto_reason(reason: Reason) -> pb.ErrorReason.ValueType:
    """The member of `ner.v1.ErrorReason` with the same name."""
    return pb.ErrorReason.Value(reason.value)


def details(error: RecognitionError) -> status_pb2.Status:
    """The rich status of an error: its ErrorInfo, and RetryInfo where coming back helps."""
    infos = [error_details_pb2.ErrorInfo(reason=error.reason.value, domain=DOMAIN)]
    packed = [_pack(info) for info in infos]
    if isinstance(error, QueueFull):
        nanoseconds = int(error.retry_after_s * _NS_PER_S)
        delay = duration_pb2.Duration(
            seconds=nanoseconds // _NS_PER_S, nanos=nanoseconds % _NS_PER_S
        )
        packed.append(_pack(error_details_pb2.RetryInfo(retry_delay=delay)))
    code: int = STATUS_OF_REASON[error.reason].value[0]
    return status_pb2.Status(code=code, message=_message(error), details=packed)


async def abort(
    context: grpc.aio.ServicerContext[Request, Response], error: RecognitionError
) -> NoReturn:
    """Ends the call with this error."""
    trailing = ((_DETAILS, details(error).SerializeToString()),)
    await context.abort(STATUS_OF_REASON[error.reason], _message(error), trailing)
    raise AssertionError  # abort has raised


def _message(error: RecognitionError) -> str:
    raw = error.detail.encode()
    if len(raw) <= _MAX_MESSAGE_BYTES:
        return error.detail
    return raw[:_MAX_MESSAGE_BYTES].decode(errors="ignore") + "…"


def _pack(message: error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
