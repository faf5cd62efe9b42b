"""Gives the calls that run a model a span, in the trace of their caller if there is one."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpc

from inference.servicers.call import request_id_of
from telemetry import trace_context
from telemetry.tracing import Attributes, Span, Tracer

if TYPE_CHECKING:
    Details = grpc.HandlerCallDetails
    # The stubs make these generic; at run time they are not.
    MethodHandler = grpc.RpcMethodHandler[Any, Any]
    Interceptor = grpc.aio.ServerInterceptor[Any, Any]
else:
    from grpc.aio import ServerInterceptor as Interceptor

_TRACED = frozenset(
    {
        "/ner.v1.EntityRecognizer/Recognize",
        "/ner.v1.EntityRecognizer/RecognizeStream",
        "/ner.v1.EntityRecognizer/Classify",
        "/inference.GRPCInferenceService/ModelInfer",
        "/inference.GRPCInferenceService/ModelStreamInfer",
    }
)


class TraceInterceptor(Interceptor):
    """Puts a span around each method that runs a model.

    Args:
        tracer: makes the spans.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def intercept_service(
        self,
        continuation: "Callable[[Details], Awaitable[MethodHandler]]",
        handler_call_details: "Details",
    ) -> "MethodHandler":
        """Lets a call pass to its method, in a span."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if method not in _TRACED or handler is None:
            return handler
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(
                self._stream(method, handler.stream_stream),
                handler.request_deserializer,
                handler.response_serializer,
            )
        if handler.unary_unary is None:  # the access interceptor's refusal, or nothing we know
            return handler
        return grpc.unary_unary_rpc_method_handler(
            self._unary(method, handler.unary_unary),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _begin(self, method: str, context: Any) -> Span:
        sent = {k: v for k, v in context.invocation_metadata() or () if isinstance(v, str)}
        parent = trace_context.parse(
            sent.get(trace_context.HEADER), sent.get(trace_context.STATE_HEADER)
        )
        return self._tracer.begin(method.lstrip("/"), "server", parent)

    def _unary(self, method: str, answer: Any) -> Any:
        async def traced(request: Any, context: Any) -> Any:
            span = self._begin(method, context)
            token = trace_context.current.set(span.context)
            try:
                return await answer(request, context)
            finally:
                trace_context.current.reset(token)
                _end(span, context)

        return traced

    def _stream(self, method: str, serve: Any) -> Any:
        async def traced(requests: AsyncIterator[Any], context: Any) -> None:
            span = self._begin(method, context)
            token = trace_context.current.set(span.context)
            try:
                await serve(requests, context)
            finally:
                trace_context.current.reset(token)
                _end(span, context)

        return traced


def _end(span: Span, context: Any) -> None:
    code = context.code()
    status: int = code.value[0] if isinstance(code, grpc.StatusCode) else int(code or 0)
    attributes: Attributes = {
        "rpc.grpc.status_code": status,
        "nerve.request_id": request_id_of(context),
    }
    span.end(attributes, failed=status == grpc.StatusCode.INTERNAL.value[0])
