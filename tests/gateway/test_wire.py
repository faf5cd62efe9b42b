import json
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import wire
from gateway.errors import GatewayError, Reason
from gateway.schemas import (
    DEMO_BODY,
    RECOGNIZE_BODY,
    AggregationName,
    OffsetUnitName,
    PriorityName,
    RecognizeBody,
)
from protos.ner.v1 import entity_recognizer_pb2 as pb


def _entity(score: float = 0.5) -> pb.Entity:
    return pb.Entity(text="Zoë", label="PER", start=0, end=3, score=score)


def _response(*results: pb.TextResult) -> pb.RecognizeResponse:
    timings = pb.Timings(tokenize_ns=1, queue_ns=2, inference_ns=3, decode_ns=4)
    return pb.RecognizeResponse(model="ner-en", version="1", results=results, timings=timings)


def _found(*entities: pb.Entity) -> pb.TextResult:
    return pb.TextResult(entities=pb.Entities(entities=entities))


def _failed(reason: pb.ErrorReason.ValueType, detail: str = "too long") -> pb.TextResult:
    return pb.TextResult(error=pb.TextError(reason=reason, detail=detail))


def _answer(body: RecognizeBody, response: pb.RecognizeResponse) -> Any:
    return json.loads(wire.recognize_answer(body, response))


def test_the_tables_name_every_option_of_the_contract() -> None:
    assert set(wire.AGGREGATIONS) == set(get_args(AggregationName))
    assert set(wire.OFFSET_UNITS) == set(get_args(OffsetUnitName))
    assert set(wire.AGGREGATIONS.values()) == set(pb.Aggregation.values()) - {0}
    assert set(wire.OFFSET_UNITS.values()) == set(pb.OffsetUnit.values()) - {0}
    assert all(pb.Aggregation.Name(v) == n.upper() for n, v in wire.AGGREGATIONS.items())
    assert all(pb.OffsetUnit.Name(v) == n.upper() for n, v in wire.OFFSET_UNITS.items())
    assert set(wire.PRIORITIES) == set(get_args(PriorityName))
    assert set(wire.PRIORITIES.values()) == set(pb.Priority.values()) - {0}
    assert all(pb.Priority.Name(v) == n.upper() for n, v in wire.PRIORITIES.items())


def test_every_field_of_the_body_is_in_the_call() -> None:
    body = RecognizeBody(
        texts=["a", "b"],
        model="m",
        version="7",
        labels=["PER", "ORG"],
        min_score=0.25,
        aggregation="max",
        offset_unit="byte",
        priority="bulk",
    )
    assert wire.recognize_request(body) == pb.RecognizeRequest(
        texts=["a", "b"],
        model="m",
        version="7",
        options=pb.RecognizeOptions(
            labels=["PER", "ORG"],
            min_score=0.25,
            aggregation=pb.MAX,
            offset_unit=pb.BYTE,
            priority=pb.BULK,
        ),
    )


@pytest.mark.parametrize(("said", "asked"), [("", None), (', "min_score": 0', 0.0)])
def test_a_score_of_zero_is_not_the_model_s_default(said: str, asked: float | None) -> None:
    body = wire.parse_json(RECOGNIZE_BODY, f'{{"text": "a"{said}}}'.encode())
    options = wire.recognize_request(body).options
    assert (options.min_score if options.HasField("min_score") else None) == asked


def test_a_body_with_a_text_alone_asks_for_the_defaults() -> None:
    call = wire.recognize_request(RecognizeBody(text="a"))
    assert call == pb.RecognizeRequest(
        texts=["a"],
        options=pb.RecognizeOptions(
            aggregation=pb.FIRST, offset_unit=pb.CODEPOINT, priority=pb.INTERACTIVE
        ),
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (RecognizeBody(), Reason.FIELD_INVALID),
        (RecognizeBody(text="a", texts=["b"]), Reason.FIELD_INVALID),
        (RecognizeBody(text=""), Reason.TEXT_EMPTY),
        (RecognizeBody(texts=[]), Reason.NO_TEXTS),
    ],
)
def test_a_body_without_work_is_refused(body: RecognizeBody, reason: Reason) -> None:
    with pytest.raises(GatewayError) as caught:
        wire.recognize_request(body)
    assert caught.value.reason is reason


def test_one_text_is_answered_with_its_entities() -> None:
    assert _answer(RecognizeBody(text="Zoë"), _response(_found(_entity()))) == {
        "model": "ner-en",
        "version": "1",
        "entities": [{"text": "Zoë", "label": "PER", "start": 0, "end": 3, "score": 0.5}],
    }


def test_several_texts_are_answered_in_order_and_fail_alone() -> None:
    body = RecognizeBody(texts=["Zoë", "…", "none"])
    response = _response(_found(_entity()), _failed(pb.ErrorReason.TEXT_TOO_LONG), _found())
    assert _answer(body, response)["results"] == [
        {"entities": [{"text": "Zoë", "label": "PER", "start": 0, "end": 3, "score": 0.5}]},
        {"error": {"reason": "TEXT_TOO_LONG", "detail": "too long"}},
        {"entities": []},
    ]


def test_timings_are_there_only_if_asked_for() -> None:
    body = RecognizeBody(text="Zoë", timings=True)
    assert _answer(body, _response(_found()))["timings"] == {
        "tokenize_ns": 1,
        "queue_ns": 2,
        "inference_ns": 3,
        "decode_ns": 4,
    }


def test_scores_have_six_decimals() -> None:
    """A float32 0.1 is 0.10000000149 as a float64: the digits beyond are noise."""
    answer = _answer(RecognizeBody(text="Zoë"), _response(_found(_entity(0.1))))
    assert answer["entities"][0]["score"] == 0.1


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_of_a_single_text_becomes_its_problem(reason: Reason) -> None:
    response = _response(_failed(pb.ErrorReason.Value(reason.value)))
    with pytest.raises(GatewayError) as caught:
        wire.recognize_answer(RecognizeBody(text="Zoë"), response)
    assert (caught.value.reason, caught.value.detail) == (reason, "too long")


def test_a_reason_that_is_not_known_here_is_internal() -> None:
    unknown = _failed(999)  # type: ignore[arg-type]  # a member of a later contract
    body = RecognizeBody(texts=["a"])
    assert _answer(body, _response(unknown))["results"][0]["error"]["reason"] == "INTERNAL"


@pytest.mark.parametrize("n_results", [0, 2])
@pytest.mark.parametrize("body", [RecognizeBody(text="a"), RecognizeBody(texts=["a"])])
def test_results_that_do_not_fit_the_texts_are_a_fault(body: RecognizeBody, n_results: int) -> None:
    with pytest.raises(GatewayError) as caught:
        wire.recognize_answer(body, _response(*[_found()] * n_results))
    assert caught.value.reason is Reason.INTERNAL


def _versions() -> pb.ListModelsResponse:
    return pb.ListModelsResponse(
        default_model="a",
        models=[
            pb.ModelVersion(name="a", version="1", state=pb.ModelVersion.READY, labels=["PER"]),
            pb.ModelVersion(name="a", version="2", state=pb.ModelVersion.READY, live=True),
            pb.ModelVersion(name="b", version="1", state=pb.ModelVersion.FAILED, detail="sha256"),
        ],
    )


def test_versions_are_grouped_by_model() -> None:
    answer = wire.models_answer(_versions())
    assert answer["default_model"] == "a"
    assert [(m["name"], m["live_version"], len(m["versions"])) for m in answer["models"]] == [
        ("a", "2", 2),
        ("b", None, 1),
    ]
    assert wire.model_answer(_versions(), "b") == answer["models"][1]
    assert answer["models"][1]["versions"][0] == {
        "version": "1",
        "state": "FAILED",
        "detail": "sha256",
        "live": False,
        "aliases": [],
        "labels": [],
        "max_window_tokens": 0,
        "min_score": 0.0,
        "label_consistency": 0.0,
    }


def test_a_model_that_is_not_there_is_not_found() -> None:
    with pytest.raises(GatewayError) as caught:
        wire.model_answer(_versions(), "c")
    assert caught.value.reason is Reason.MODEL_NOT_FOUND


_MARK = "Angela"

_AT_THE_SCHEMA = {
    Reason.MALFORMED_JSON,
    Reason.FIELD_INVALID,
    Reason.TEXT_EMPTY,
    Reason.NO_TEXTS,
}

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(sorted(RecognizeBody.model_fields)) | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=60) | _JSON.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 100_000)
@example(b'{"text":' * 100_000)
@example(b'{"min_score": ' + b"9" * 100_000 + b"}")
@example(b'{"min_score": 1e999999}')
@example(b'{"min_score": NaN}')
@example(b'{"text": "a", "text": "b"}')
@example(b'{"text": "\xff"}')
@example(b'\xef\xbb\xbf{"text": "a"}')
def test_any_body_is_a_call_or_a_clear_error(raw: bytes) -> None:
    try:
        body = wire.parse_json(RECOGNIZE_BODY, raw)
        assert wire.recognize_request(body).SerializeToString()
    except GatewayError as error:
        assert error.reason in _AT_THE_SCHEMA  # noqa: PT017 - no error is as good
    try:
        assert wire.parse_json(DEMO_BODY, raw).encode() is not None
    except GatewayError as error:
        assert error.reason in _AT_THE_SCHEMA  # noqa: PT017 - no error is as good


@pytest.mark.parametrize(
    "raw",
    [
        b'{"text": "Angela',
        b'{"text": "Angela" "x"}',
        b'{"text": "Angela\n"}',
        b'{"text": "Angela \\ud800"}',
        b'{"text": ["Angela"]}',
        b'{"texts": "Angela"}',
        b'{"texts": [{"Angela": 1}]}',
        b'{"text": "a", "aggregation": "Angela"}',
        b'{"text": "a", "min_score": "Angela"}',
        b'{"text": "a", "labels": "Angela"}',
        b'"Angela"',
        b'["Angela"]',
    ],
)
def test_an_error_never_repeats_what_was_sent(raw: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        wire.parse_json(RECOGNIZE_BODY, raw)
    error = caught.value
    assert _MARK not in repr((error, error.detail, error.fields))
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_half_a_surrogate_pair_is_named() -> None:
    for raw in (b'{"text": "\\ud800"}', b'{"text": "\\udc00"}', b'{"text": "\\ud800\\ud800"}'):
        with pytest.raises(GatewayError, match="surrogate pair"):
            wire.parse_json(RECOGNIZE_BODY, raw)


def test_a_whole_surrogate_pair_is_its_character() -> None:
    assert wire.parse_json(RECOGNIZE_BODY, b'{"text": "\\ud83d\\ude00\\u0000"}').text == "😀\0"


def test_many_errors_are_cut_short() -> None:
    unknown = {f"field_{'x' * 100}_{i}": 1 for i in range(20)}
    with pytest.raises(GatewayError) as caught:
        wire.parse_json(RECOGNIZE_BODY, json.dumps(unknown).encode())
    assert len(caught.value.fields) == 10
    assert all(len(field.field) <= 64 for field in caught.value.fields)
    with pytest.raises(GatewayError, match="more than 1000"):
        wire.parse_json(RECOGNIZE_BODY, json.dumps({str(i): 1 for i in range(2000)}).encode())
    with pytest.raises(GatewayError) as caught:
        wire.parse_json(RECOGNIZE_BODY, json.dumps({"texts": [1] * 5000}).encode())
    assert [field.field for field in caught.value.fields] == ["texts.0"]
