"""The trace that the work at hand belongs to, as W3C's `traceparent` carries it between services.

Source: W3C Trace Context, https://www.w3.org/TR/trace-context/ (sections 3.2 and 3.3).
"""

import re
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

# Lower case: gRPC refuses metadata keys with capitals; HTTP header names ignore case.
HEADER: Final = "traceparent"
STATE_HEADER: Final = "tracestate"

# A version after ours may have more fields behind these; ff is forbidden.
_PARENT: Final = re.compile(
    r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_SAMPLED: Final = 0x01
# What the specification asks a service to carry at least.
_MOST_STATE_CHARS: Final = 512


@dataclass(frozen=True, slots=True)
class TraceContext:
    """One span of one trace.

    Attributes:
        trace_id: 128 bits, not zero.
        span_id: 64 bits, not zero.
        sampled: whether the caller keeps the trace.
        state: `tracestate` as it came; empty for none.
    """

    trace_id: int
    span_id: int
    sampled: bool
    state: str = ""

    @property
    def trace(self) -> str:
        """The trace's id as 32 hexadecimal digits."""
        return f"{self.trace_id:032x}"

    @property
    def header(self) -> str:
        """The value of `traceparent`."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{int(self.sampled):02x}"


# Set only where traces are on.
current: Final[ContextVar[TraceContext | None]] = ContextVar("trace_context", default=None)


def parse(parent: str | None, state: str | None = None) -> TraceContext | None:
    """Read the headers of a caller.

    Args:
        parent: the value of `traceparent`, or None.
        state: the value of `tracestate`, or None.

    Returns:
        None where there is no parent that can be used: a new trace begins.
    """
    found = _PARENT.fullmatch(parent or "")
    if found is None or (found[1] == "00" and found[5]):
        return None
    trace_id, span_id = int(found[2], 16), int(found[3], 16)
    if not trace_id or not span_id:
        return None
    kept = state if state and _can_be_carried(state) else ""
    return TraceContext(trace_id, span_id, bool(int(found[4], 16) & _SAMPLED), kept)


def _can_be_carried(state: str) -> bool:
    """Whether gRPC takes it as metadata, whose values are 0x20 to 0x7e."""
    return len(state) <= _MOST_STATE_CHARS and state.isascii() and state.isprintable()
