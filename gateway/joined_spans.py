"""Spans of calls that carry the texts of several requests."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from telemetry import trace_context
from telemetry.trace_context import TraceContext
from telemetry.tracing import Tracer


class JoinedSpans:
    """Records calls in the traces of the requests that they carry.

    A call for one request belongs to its trace. A call for several belongs to none of them: it
    begins a trace of its own that links them, and each of them has a span that links the call.

    Args:
        tracer: makes the spans.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer: Final = tracer

    @contextmanager
    def around(self, origins: Sequence[TraceContext | None]) -> Iterator[None]:
        """What is sent within is of these requests.

        Args:
            origins: the span of each request; None where one is in no trace.
        """
        if len(origins) == 1:
            with _within(origins[0]):
                yield
            return
        links = [origin for origin in origins if origin is not None]
        joined = self._tracer.begin("joined call", "internal", None, links)
        shares = [self._tracer.begin("recognize", "internal", of, [joined.context]) for of in links]
        try:
            with _within(joined.context):
                yield
        finally:
            for share in shares:
                share.end()
            joined.end({"nerve.texts": len(origins)})


@contextmanager
def _within(context: TraceContext | None) -> Iterator[None]:
    """Set it also where it is None: the task was begun in the trace of some other request."""
    token = trace_context.current.set(context)
    try:
        yield
    finally:
        trace_context.current.reset(token)
