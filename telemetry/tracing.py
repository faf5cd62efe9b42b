"""Spans, sent to an OTLP collector; without a collector there is no tracer and nothing is paid."""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from telemetry.trace_context import TraceContext

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as ApiSpan
    from opentelemetry.trace import SpanContext

Kind: TypeAlias = Literal["internal", "server", "client"]
Attributes: TypeAlias = Mapping[str, str | int]

_VARIABLE: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
# The exporter asks a collector that is away again and again, for longer than `nerve serve` gives a
# service that has drained.
_CLOSING_S: Final = 3.0


class TracingInvalid(Exception):
    """Traces are asked for and cannot be sent; the message says what to change."""


class Span:
    """One span that has begun; its owner ends it.

    Attributes:
        context: for those whose parent it is.
    """

    __slots__ = ("_span", "context")

    def __init__(self, span: "ApiSpan", state: str) -> None:
        told = span.get_span_context()
        self._span: Final = span
        self.context: Final = TraceContext(
            told.trace_id, told.span_id, told.trace_flags.sampled, state
        )

    def end(
        self,
        attributes: Attributes | None = None,
        *,
        name: str | None = None,
        failed: bool = False,
        ended_ns: int | None = None,
    ) -> None:
        """End it.

        Args:
            attributes: what is known of it by now.
            name: a better one than that it began with.
            failed: whether whoever runs the service should look at it.
            ended_ns: nanoseconds since 1970; None: now.
        """
        from opentelemetry.trace import StatusCode

        if name is not None:
            self._span.update_name(name)
        self._span.set_attributes(dict(attributes or {}))
        if failed:
            self._span.set_status(StatusCode.ERROR)
        self._span.end(ended_ns)


class Tracer:
    """Makes spans, and sends them from a thread of its own; closed by `close`.

    Where the collector is slower than the spans come, or away, spans are dropped: requests never
    wait for it.

    Args:
        provider: OpenTelemetry's.
    """

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider: Final = provider
        self._tracer: Final = provider.get_tracer("nerve")

    @classmethod
    def open(cls, service: str, endpoint: str) -> "Tracer":
        """Send the spans of a service to a collector.

        Args:
            service: its name in the traces.
            endpoint: of OTLP over HTTP, such as `http://collector:4318`.

        Raises:
            TracingInvalid: a package is missing.
        """
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ModuleNotFoundError as error:
            raise TracingInvalid(
                f"{_VARIABLE}: the package {error.name} is missing: LOCK=serve-extras.txt make"
                " serve, or make up, installs it"
            ) from None
        provider = TracerProvider(resource=Resource.create({"service.name": service}))
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
        return cls(provider)

    def close(self) -> None:
        """Send what is left, and end the thread; what takes longer than `_CLOSING_S` is lost."""
        closing = threading.Thread(target=self._provider.shutdown, name="tracing-end", daemon=True)
        closing.start()
        closing.join(_CLOSING_S)

    def begin(
        self,
        name: str,
        kind: Kind,
        parent: TraceContext | None,
        links: Sequence[TraceContext] = (),
        started_ns: int | None = None,
    ) -> Span:
        """Begin a span.

        Args:
            name: of what is done, never of what a caller sent.
            kind: its side of the wire, if any.
            parent: the span around it; None begins a new trace.
            links: spans that it has to do with in other ways.
            started_ns: nanoseconds since 1970; None: now.
        """
        from opentelemetry.context import Context
        from opentelemetry.trace import Link, NonRecordingSpan, SpanKind, set_span_in_context

        around = Context()
        if parent is not None:
            around = set_span_in_context(NonRecordingSpan(_api_context(parent)), around)
        span = self._tracer.start_span(
            name,
            around,
            SpanKind[kind.upper()],
            links=[Link(_api_context(link)) for link in links],
            start_time=started_ns,
        )
        return Span(span, "" if parent is None else parent.state)


def epoch_ns(monotonic_ns: int) -> int:
    """A moment of the monotonic clock as nanoseconds since 1970, by the system's clock of now."""
    return time.time_ns() - (time.monotonic_ns() - monotonic_ns)


def _api_context(context: TraceContext) -> "SpanContext":
    from opentelemetry.trace import SpanContext, TraceFlags

    flags = TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT)
    return SpanContext(context.trace_id, context.span_id, is_remote=True, trace_flags=flags)
