"""Spans of the inference service: a call, its stages after the fact, and the batches it ran in."""

import time
from collections.abc import Sequence
from typing import Any, Final

from inference.core import Timings
from telemetry import trace_context
from telemetry.trace_context import TraceContext
from telemetry.tracing import Tracer, epoch_ns


class CallSpans:
    """Records what a call and a batch did, once it is known.

    Args:
        tracer: makes the spans.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer: Final = tracer

    def stages(self, timings: Timings, batches: Sequence[TraceContext]) -> None:
        """Records the stages of the call at hand, which end now, one after the other.

        Args:
            timings: of the call; of each stage the longest of its windows.
            batches: in which its windows ran.
        """
        parent = trace_context.current.get()
        if parent is None:
            return
        ended_ns = time.time_ns()
        stages: tuple[tuple[str, int, Sequence[TraceContext]], ...] = (
            ("decode", timings.decode_ns, ()),
            ("run", timings.inference_ns, batches),
            ("queue", timings.queue_ns, ()),
            ("tokenize", timings.tokenize_ns, ()),
        )
        for name, took_ns, links in stages:
            started_ns = ended_ns - took_ns
            span = self._tracer.begin(name, "internal", parent, links, started_ns)
            span.end(ended_ns=ended_ns)
            ended_ns = started_ns

    def batch(
        self,
        calls: Sequence[TraceContext | None],
        started_ns: int,
        took_ns: int,
        attributes: dict[str, Any],
    ) -> TraceContext | None:
        """Records one model run, in a trace of its own that links every call in it.

        Args:
            calls: of the windows; those in no trace are None.
            started_ns: on the monotonic clock.
            took_ns: time of the run.
            attributes: what is known of it.

        Returns:
            The span, for the calls to link; None where no call is traced.
        """
        links = list(dict.fromkeys(call for call in calls if call is not None))
        if not links:
            return None
        begun_ns = epoch_ns(started_ns)
        span = self._tracer.begin("batch", "internal", None, links, begun_ns)
        span.end(attributes, ended_ns=begun_ns + took_ns)
        return span.context
