"""Translation of a failed gRPC call into the error of the gateway."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from gateway.errors import INTERNAL_DETAIL, MAX_DETAIL_CHARS, GatewayError, Reason
from telemetry.logs import get_logger

_LOG: Final = get_logger("gateway.client")

# The trailing metadata that carries a `google.rpc.Status`.
DETAILS_KEY: Final = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class _Fallback:
    """What a gRPC status means when its details do not name a reason."""

    reason: Reason
    detail: str


_UNAVAILABLE: Final = _Fallback(
    Reason.INFERENCE_UNAVAILABLE, "no inference server answers: try again shortly"
)
_INTERNAL: Final = _Fallback(Reason.INTERNAL, INTERNAL_DETAIL)

# Retries are useful only where the next attempt may meet another server or a later moment.
FALLBACKS: Final[Mapping[grpc.StatusCode, _Fallback]] = MappingProxyType(
    {
        grpc.StatusCode.UNAVAILABLE: _UNAVAILABLE,
        # The server gave a running call up: it is going away.
        grpc.StatusCode.CANCELLED: _UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED: _Fallback(
            Reason.DEADLINE_EXCEEDED, "the deadline passed before the answer was ready"
        ),
        # gRPC's own use of it, either way: a message over the size limit.
        grpc.StatusCode.RESOURCE_EXHAUSTED: _Fallback(
            Reason.BODY_TOO_LARGE,
            "the texts or their answer are too large for one call: send fewer or shorter texts",
        ),
        grpc.StatusCode.OK: _INTERNAL,
        grpc.StatusCode.UNKNOWN: _INTERNAL,
        grpc.StatusCode.INVALID_ARGUMENT: _INTERNAL,
        grpc.StatusCode.NOT_FOUND: _INTERNAL,
        grpc.StatusCode.ALREADY_EXISTS: _INTERNAL,
        grpc.StatusCode.PERMISSION_DENIED: _INTERNAL,
        grpc.StatusCode.UNAUTHENTICATED: _INTERNAL,
        grpc.StatusCode.FAILED_PRECONDITION: _INTERNAL,
        grpc.StatusCode.ABORTED: _INTERNAL,
        grpc.StatusCode.OUT_OF_RANGE: _INTERNAL,
        grpc.StatusCode.UNIMPLEMENTED: _INTERNAL,
        grpc.StatusCode.INTERNAL: _INTERNAL,
        grpc.StatusCode.DATA_LOSS: _INTERNAL,
    }
)

_ERROR_DOMAIN: Final = "nerve"


def error_from_call(error: grpc.aio.AioRpcError, request_id: str) -> GatewayError:
    """Translate the failure of a call, and log it if it is nobody's but ours."""
    # The stubs give a pair's fields names; at run time it is a plain tuple.
    metadata = cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata())
    details = dict(metadata).get(DETAILS_KEY)
    translated = error_from_rpc(error.code(), details if isinstance(details, bytes) else None)
    if translated.reason is Reason.INTERNAL:
        _LOG.error("inference_call_failed", request_id=request_id, grpc_code=error.code().name)
    return translated


def error_from_rpc(code: grpc.StatusCode, status_details: bytes | None) -> GatewayError:
    """Translate the failure of a call.

    Args:
        code: the call's gRPC status.
        status_details: the trailing metadata `grpc-status-details-bin`, a `google.rpc.Status`.

    Returns:
        The error that the details name; without a known name, what the status alone says.
    """
    details = _status_details(status_details)
    if details.reason is None or details.reason is Reason.INTERNAL:
        fallback = FALLBACKS[code] if details.reason is None else _INTERNAL
        return GatewayError(fallback.reason, fallback.detail)
    return GatewayError(
        details.reason,
        details.message[:MAX_DETAIL_CHARS],
        retry_after_s=details.retry_after_s,
    )


@dataclass(frozen=True, slots=True)
class _StatusDetails:
    """What the details of a gRPC status say, as far as they are known here."""

    reason: Reason | None = None
    message: str = ""
    retry_after_s: int | None = None


def _status_details(status_details: bytes | None) -> _StatusDetails:
    if status_details is None:
        return _StatusDetails()
    reason: Reason | None = None
    retry_after_s: int | None = None
    try:
        status = status_pb2.Status.FromString(status_details)
        for detail in status.details:
            info = error_details_pb2.ErrorInfo()
            retry = error_details_pb2.RetryInfo()
            if detail.Unpack(info) and info.domain == _ERROR_DOMAIN:
                reason = Reason.__members__.get(info.reason)
            elif detail.Unpack(retry):
                delay = retry.retry_delay
                retry_after_s = max(1, math.ceil(delay.seconds + delay.nanos / 1e9))
    except DecodeError:
        return _StatusDetails()
    return _StatusDetails(reason, status.message, retry_after_s)
