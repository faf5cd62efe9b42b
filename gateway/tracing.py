"""Spans of the gateway: a request, and each of its calls to the inference service."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

import grpc
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.middleware import HttpLayer, is_quiet, request_id_of, route_of
from telemetry import trace_context
from telemetry.tracing import Span, Tracer

if TYPE_CHECKING:  # the stubs make them generic; at run time they are not
    UnaryUnary = grpc.aio.UnaryUnaryClientInterceptor[Any, Any]
    StreamStream = grpc.aio.StreamStreamClientInterceptor[Any, Any]
else:
    from grpc.aio import StreamStreamClientInterceptor as StreamStream
    from grpc.aio import UnaryUnaryClientInterceptor as UnaryUnary

_PARENT: Final = trace_context.HEADER.encode("ascii")
_STATE: Final = trace_context.STATE_HEADER.encode("ascii")
_HEALTH: Final = "/grpc.health.v1.Health/"
_CALLER_GONE: Final = 499
_FAULT: Final = 500


class TraceLayer(HttpLayer):
    """Gives every request a span, in the trace of its caller if there is one.

    Args:
        app: the next layer.
        tracer: makes the spans.
    """

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        super().__init__(app)
        self._tracer: Final = tracer

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_quiet(scope["path"]):
            await self.app(scope, receive, send)
            return
        status = _CALLER_GONE

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        span = self._tracer.begin("request", "server", _caller(scope))
        token = trace_context.current.set(span.context)
        try:
            await self.app(scope, receive, send_and_note)
        finally:
            trace_context.current.reset(token)
            _end(span, scope, status)


def _caller(scope: Scope) -> trace_context.TraceContext | None:
    sent = {_PARENT: [], _STATE: []}  # type: dict[bytes, list[str]]
    for name, value in scope["headers"]:
        if name in sent:
            sent[name].append(value.decode("latin-1"))
    if len(sent[_PARENT]) != 1:  # two parents are none
        return None
    return trace_context.parse(sent[_PARENT][0], ",".join(sent[_STATE]))


def _end(span: Span, scope: Scope, status: int) -> None:
    route = route_of(scope)
    attributes = {
        "http.request.method": scope["method"],
        "http.route": route,
        "http.response.status_code": status,
        "nerve.request_id": request_id_of(scope),
    }
    span.end(attributes, name=f"{scope['method']} {route}", failed=status >= _FAULT)


def call_spans(tracer: Tracer) -> list[Any]:
    """Interceptors that give every call a span and send it along: one for each kind of call."""
    return [_UnaryUnary(tracer), _StreamStream(tracer)]


class _Calls:
    """Begins the spans of calls; probes of health have none."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer: Final = tracer

    def _begin(self, details: Any) -> tuple[Any, Span | None]:
        method = details.method.decode() if isinstance(details.method, bytes) else details.method
        if method.startswith(_HEALTH):
            return details, None
        span = self._tracer.begin(method.lstrip("/"), "client", trace_context.current.get())
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        metadata.add(trace_context.HEADER, span.context.header)
        if span.context.state:
            metadata.add(trace_context.STATE_HEADER, span.context.state)
        return details._replace(metadata=metadata), span


class _UnaryUnary(_Calls, UnaryUnary):
    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        details, span = self._begin(client_call_details)
        call = await continuation(details, request)
        if span is None:
            return call
        code = grpc.StatusCode.CANCELLED
        try:
            code = await call.code()  # waits for the end, and raises nothing that the call does
        except asyncio.CancelledError:
            call.cancel()  # it was only waited for: gRPC would let it go on
            raise
        finally:
            span.end({"rpc.grpc.status_code": code.value[0]}, failed=code is not grpc.StatusCode.OK)
        return call


class _StreamStream(_Calls, StreamStream):
    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        details, span = self._begin(client_call_details)
        call = await continuation(details, request_iterator)
        if span is not None:
            call.add_done_callback(lambda _call: span.end())
        return call
