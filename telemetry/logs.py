"""JSON log lines on standard error.

No line holds text that a user sent: callers log lengths and request ids only, and an exception is
written as its type and the places it passed, because its message may quote what it failed on.
"""

import atexit
import logging
import sys
import traceback
from typing import Any, Final, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from telemetry import streams, trace_context

LEVELS: Final = ("debug", "info", "warning", "error", "critical")

# The innermost frames say where it broke; the outer ones are the framework's.
_MAX_FRAMES: Final = 20
_MAX_CAUSES: Final = 5


def configure(level: str) -> None:
    """Send the logs of this process, those of its libraries included, to standard error.

    Args:
        level: the least level that is written, one of `LEVELS`.

    Raises:
        ValueError: `level` is not one of `LEVELS`.
    """
    if level not in LEVELS:
        raise ValueError(f"log level must be one of {', '.join(LEVELS)}")
    structlog.configure(
        processors=[_add_name, *_SHARED_PROCESSORS, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_StderrLog,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_Stderr())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, _keep_first_line],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_SHARED_PROCESSORS,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    atexit.register(streams.let_go)


def get_logger(name: str) -> FilteringBoundLogger:
    """Make a logger whose lines carry `logger: name`.

    Args:
        name: the part of the service that speaks, such as `gateway.access`.
    """
    return cast("FilteringBoundLogger", structlog.get_logger(name))


def _add_name(logger: Any, _method: str, event: EventDict) -> EventDict:
    event["logger"] = logger.name
    return event


def _add_trace(_logger: Any, _method: str, event: EventDict) -> EventDict:
    context = trace_context.current.get()
    if context is not None:
        event["trace_id"] = context.trace
    return event


def _place_exception(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by the exception's type, its causes' types and the places it passed."""
    exc_info = event.pop("exc_info", None)
    exception = sys.exc_info()[1] if exc_info is True else exc_info
    if isinstance(exception, tuple):
        exception = exception[1]
    if not isinstance(exception, BaseException):
        return event
    event["exception"] = _type_name(exception)
    event["frames"] = [
        f"{frame.filename}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(exception.__traceback__)[-_MAX_FRAMES:]
    ]
    causes: list[str] = []
    cause = exception.__cause__ or exception.__context__
    while cause is not None and len(causes) < _MAX_CAUSES:
        causes.append(_type_name(cause))
        cause = cause.__cause__ or cause.__context__
    if causes:
        event["causes"] = causes
    return event


def _type_name(exception: BaseException) -> str:
    kind = type(exception)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def _keep_first_line(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Cut a library's message at its first line.

    asyncio, for one, writes the repr of an exception, message included, on the lines below.
    """
    event["event"] = str(event["event"]).partition("\n")[0]
    return event


_SHARED_PROCESSORS: Final[list[Processor]] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _add_trace,
    _place_exception,
]


class _Stderr:
    """Whatever `sys.stderr` is at the moment of writing."""

    def write(self, text: str) -> None:
        sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class _StderrLog:
    """The end of the structlog chain: one line, or none where nobody reads any more."""

    def __init__(self, name: str = "") -> None:
        self.name: Final = name

    def msg(self, line: str) -> None:
        streams.write(sys.stderr, line + "\n")

    debug = info = warning = error = critical = msg
