"""What every gRPC call brings with it besides its message."""

import time
from typing import TypeVar, cast

import grpc

from telemetry import request_id

Request = TypeVar("Request")
Response = TypeVar("Response")
_NS_PER_S = 1_000_000_000


def expiry_ns(context: grpc.aio.ServicerContext[Request, Response]) -> int | None:
    """When the caller's deadline passes, in monotonic nanoseconds; none if there is no deadline."""
    # The stubs forget that a caller may set no deadline.
    remaining_s = cast("float | None", context.time_remaining())
    return None if remaining_s is None else time.monotonic_ns() + int(remaining_s * _NS_PER_S)


def request_id_of(context: grpc.aio.ServicerContext[Request, Response]) -> str:
    """The id that the caller gave the call, if it is safe; else a new one."""
    metadata = context.invocation_metadata()
    sent = [value for key, value in metadata or () if key == request_id.HEADER]
    return request_id.accept(sent[0] if sent and isinstance(sent[0], str) else None)
