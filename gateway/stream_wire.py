"""Translation between the lines of `/v1/entities:stream` and the messages of `ner.v1`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from gateway.errors import GatewayError, Reason
from gateway.ndjson import Line
from gateway.schemas import STREAM_LINE, StreamOptions
from gateway.wire import AGGREGATIONS, OFFSET_UNITS, entities_answer, entities_of, parse_json
from protos.ner.v1 import entity_recognizer_pb2 as pb

Id = str | int | None


@dataclass(frozen=True, slots=True)
class PendingLine:
    """A line that has no answer yet.

    Attributes:
        number: from 1.
        line_bytes: what it counts in the stream's window.
        id: the caller's.
        text: to be sent to inference; None if the line failed.
        error: why it failed.
    """

    number: int
    line_bytes: int
    id: Id = None
    text: str | None = None
    error: GatewayError | None = None


def stream_start(options: StreamOptions) -> pb.RecognizeStreamStart:
    """Write the first message of a stream."""
    return pb.RecognizeStreamStart(
        model=options.model,
        version=options.version,
        options=pb.RecognizeOptions(
            labels=options.labels,
            min_score=options.min_score,
            aggregation=AGGREGATIONS[options.aggregation],
            offset_unit=OFFSET_UNITS[options.offset_unit],
        ),
    )


def parse_line(line: Line, max_line_bytes: int) -> PendingLine:
    """Check a line; what is wrong with it becomes its error."""
    if line.content is None:
        detail = f"the line is larger than {max_line_bytes} bytes"
        return PendingLine(line.number, 0, error=GatewayError(Reason.BODY_TOO_LARGE, detail))
    size = len(line.content)
    try:
        checked = parse_json(STREAM_LINE, line.content, "the line")
    except GatewayError as error:
        return PendingLine(line.number, size, _id_of(line.content, error), error=error)
    return PendingLine(line.number, size, checked.id, checked.text)


def answer_line(pending: PendingLine, response: pb.RecognizeStreamResponse) -> bytes:
    """Write the answer to a line.

    Raises:
        GatewayError: why there is none.
    """
    return _line(
        {
            **_head(pending),
            "model": response.model,
            "version": response.version,
            "entities": entities_answer(entities_of(response.result)),
        }
    )


def failure_line(pending: PendingLine | None, error: GatewayError) -> bytes:
    """Write why a line failed; None: the stream itself."""
    fields = (f"{field.field or 'line'}: {field.detail}" for field in error.fields)
    detail = "; ".join((error.detail, *fields))
    head = {} if pending is None else _head(pending)
    return _line({**head, "error": {"reason": error.reason.value, "detail": detail}})


def _head(pending: PendingLine) -> dict[str, Any]:
    head: dict[str, Any] = {} if pending.id is None else {"id": pending.id}
    return {**head, "line": pending.number}


def _line(members: Mapping[str, Any]) -> bytes:
    return to_json(dict(members)) + b"\n"


def _id_of(content: bytes, error: GatewayError) -> Id:
    """The id of a line that does not fit the schema, if that is all right."""
    if error.reason is Reason.MALFORMED_JSON:
        return None
    members = from_json(content)
    found = members.get("id") if isinstance(members, dict) else None
    if isinstance(found, str | int) and not isinstance(found, bool) and len(str(found)) <= 256:
        return found
    return None
