import json
from typing import Any

import pytest

from gateway.errors import GatewayError, Reason
from gateway.ndjson import Line
from gateway.schemas import STREAM_OPTIONS
from gateway.stream_wire import answer_line, failure_line, parse_line, stream_start
from gateway.wire import parse_query
from protos.ner.v1 import entity_recognizer_pb2 as pb

_LIMIT = 1_000


def _failure(content: bytes | None) -> dict[str, Any]:
    pending = parse_line(Line(7, content), _LIMIT)
    assert pending.text is None
    assert pending.error is not None
    found: dict[str, Any] = json.loads(failure_line(pending, pending.error))
    assert found["line"] == 7
    return found


@pytest.mark.parametrize("id_", ["a", 0, -5, "", None])
def test_an_id_comes_back_as_it_was(id_: str | int | None) -> None:
    pending = parse_line(Line(3, json.dumps({"id": id_, "text": "Tim"}).encode()), _LIMIT)
    assert pending.text == "Tim"
    entities = pb.Entities(entities=[pb.Entity(text="Tim", label="PER", end=3, score=0.5)])
    response = pb.RecognizeStreamResponse(
        model="ner-en", version="1", result=pb.TextResult(entities=entities)
    )
    line = answer_line(pending, response)
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        **({} if id_ is None else {"id": id_}),
        "line": 3,
        "model": "ner-en",
        "version": "1",
        "entities": [{"text": "Tim", "label": "PER", "start": 0, "end": 3, "score": 0.5}],
    }


@pytest.mark.parametrize(
    ("content", "reason", "says"),
    [
        (b"{", Reason.MALFORMED_JSON, "JSON"),
        (b"\xff", Reason.MALFORMED_JSON, "JSON"),
        (b'{"text": "\\ud800"}', Reason.MALFORMED_JSON, "surrogate"),
        (b"3", Reason.FIELD_INVALID, "line: "),
        (b"{}", Reason.FIELD_INVALID, "text: Field required"),
        (b'{"text": 3}', Reason.FIELD_INVALID, "text: "),
        (b'{"text": "a", "id": 1.5}', Reason.FIELD_INVALID, "id"),
        (b'{"text": "a", "id": true}', Reason.FIELD_INVALID, "id"),
        (b'{"text": "a", "labels": []}', Reason.FIELD_INVALID, "labels"),
        (None, Reason.BODY_TOO_LARGE, "1000 bytes"),
    ],
)
def test_what_is_wrong_with_a_line_is_its_error(
    content: bytes | None, reason: Reason, says: str
) -> None:
    found = _failure(content)
    assert set(found) == {"line", "error"}
    assert found["error"]["reason"] == reason
    assert says in found["error"]["detail"]


def test_a_line_that_fails_keeps_its_id() -> None:
    assert _failure(b'{"id": "a"}')["id"] == "a"
    assert _failure(b'{"id": 5, "text": null}')["id"] == 5


def test_a_text_that_failed_has_no_answer() -> None:
    error = pb.TextError(reason=pb.TEXT_EMPTY, detail="the text is empty")
    response = pb.RecognizeStreamResponse(result=pb.TextResult(error=error))
    with pytest.raises(GatewayError, match="the text is empty") as caught:
        answer_line(parse_line(Line(1, b'{"text": ""}'), _LIMIT), response)
    assert caught.value.reason is Reason.TEXT_EMPTY


def test_the_end_of_a_stream_has_no_line() -> None:
    found = json.loads(failure_line(None, GatewayError(Reason.DRAINING, "try again")))
    assert found == {"error": {"reason": "DRAINING", "detail": "try again"}}


def test_options_come_from_the_query_string() -> None:
    query = {
        "model": "m",
        "version": "2",
        "labels": ["PER", "LOC"],
        "min_score": "0.5",
        "aggregation": "max",
        "offset_unit": "utf16",
    }
    start = stream_start(parse_query(STREAM_OPTIONS, query))
    options = start.options
    assert (start.model, start.version, list(options.labels)) == ("m", "2", ["PER", "LOC"])
    assert (options.min_score, options.aggregation, options.offset_unit) == (0.5, pb.MAX, pb.UTF16)


@pytest.mark.parametrize(("query", "asked"), [({}, None), ({"min_score": "0"}, 0.0)])
def test_a_score_of_zero_is_not_the_model_s_default(
    query: dict[str, object], asked: float | None
) -> None:
    options = stream_start(parse_query(STREAM_OPTIONS, query)).options
    assert (options.min_score if options.HasField("min_score") else None) == asked


@pytest.mark.parametrize(
    "query", [{"min_score": "2"}, {"min_score": "nan"}, {"aggregation": "best"}, {"label": "PER"}]
)
def test_a_bad_option_is_refused(query: dict[str, object]) -> None:
    with pytest.raises(GatewayError) as caught:
        parse_query(STREAM_OPTIONS, query)
    assert caught.value.reason is Reason.FIELD_INVALID
    assert caught.value.fields[0].field in query
