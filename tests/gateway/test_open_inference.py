import json
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.bytes_tensor import pack, unpack
from gateway.errors import FieldError, GatewayError, Reason
from gateway.infer_parameters import READERS
from gateway.open_inference import InferCall, error_members, infer_answer, infer_call
from inference.servicers import infer_parameters as over_grpc
from protos.ner.v1 import entity_recognizer_pb2 as pb

_SECRET = "Angela Merkel"
_TENSOR = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]}


def _call(body: Any, binary: bytes = b"", header_length: str | None = None) -> InferCall:
    raw = json.dumps(body).encode()
    if binary and header_length is None:
        header_length = str(len(raw))
    return infer_call(raw + binary, header_length, "m", "2")


def _with(**parameters: Any) -> dict[str, Any]:
    return {"inputs": [_TENSOR], "parameters": parameters}


def _tensor(**fields: Any) -> dict[str, Any]:
    return {"inputs": [{**_TENSOR, **fields}]}


def _binary(size: Any, shape: list[int]) -> dict[str, Any]:
    tensor = {"name": "text", "datatype": "BYTES", "shape": shape}
    return {"inputs": [{**tensor, "parameters": {"binary_data_size": size}}]}


def _refusal(body: Any, binary: bytes = b"", header_length: str | None = None) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        _call(body, binary, header_length)
    return caught.value


def test_a_request_with_everything() -> None:
    call = _call(
        {
            "id": "x",
            "model_name": "ignored",
            "inputs": [{**_TENSOR, "shape": [2], "data": ["a", "é"]}],
            "outputs": [{"name": "entities"}],
            "parameters": {
                "labels": " PER, LOC,",
                "min_score": 0.5,
                "aggregation": "max",
                "offset_unit": "utf16",
                "timeout": 1_500_000,
            },
        }
    )
    options = pb.RecognizeOptions(
        labels=["PER", "LOC"], min_score=0.5, aggregation=pb.MAX, offset_unit=pb.UTF16
    )
    asked = pb.RecognizeRequest(texts=["a", "é"], model="m", version="2", options=options)
    assert call == InferCall(asked, "x", False, 1.5)


@pytest.mark.parametrize("data", [["a", "b"], [["a"], ["b"]], ["a", ["b"]]], ids=str)
@pytest.mark.parametrize("shape", [[2], [2, 1]], ids=str)
def test_texts_may_stand_in_a_column(shape: list[int], data: list[Any]) -> None:
    assert list(_call(_tensor(shape=shape, data=data)).request.texts) == ["a", "b"]


def test_texts_may_follow_the_json() -> None:
    tail = pack([b"a", "é".encode()])
    assert list(_call(_binary(len(tail), [2]), tail).request.texts) == ["a", "é"]


@pytest.mark.parametrize(
    ("value", "priority"),
    [("interactive", pb.INTERACTIVE), ("bulk", pb.BULK), (0, 1), (1, pb.INTERACTIVE), (9, pb.BULK)],
)
def test_a_priority_is_a_name_or_one_of_tritons_levels(value: Any, priority: int) -> None:
    assert _call(_with(priority=value)).request.options.priority == priority


def test_both_ways_in_know_the_same_parameters() -> None:
    """Over gRPC the answer to a raw request is raw: only REST asks for it."""
    assert set(READERS) - {"binary_data_output"} == set(over_grpc.READERS)


@pytest.mark.parametrize(
    ("outputs", "default", "is_binary"),
    [
        (None, False, False),
        (None, True, True),
        ([{"name": "entities"}], True, True),
        ([{"name": "entities", "parameters": {"binary_data": False}}], True, False),
        ([{"name": "entities", "parameters": {"binary_data": True}}], False, True),
    ],
)
def test_an_output_says_for_itself_whether_it_is_binary(
    outputs: Any, default: bool, is_binary: bool
) -> None:
    body = {**_with(binary_data_output=default), "outputs": outputs}
    assert _call(body).is_binary is is_binary


@pytest.mark.parametrize(
    "body",
    [
        _with(**{_SECRET: 1}),
        _with(labels=1),
        _with(min_score=True),
        _with(min_score=_SECRET),
        _with(min_score=-0.1),
        _with(min_score=10**400),
        _with(min_score="nan"),
        _with(aggregation=_SECRET),
        _with(aggregation=1),
        _with(offset_unit=_SECRET),
        _with(priority=-1),
        _with(priority=_SECRET),
        _with(priority=1.5),
        _with(timeout=0),
        _with(timeout=1.5),
        _with(timeout=True),
        _with(binary_data_output="yes"),
        _tensor(parameters={"shared_memory_region": "x"}),
        {
            "inputs": [_TENSOR],
            "outputs": [{"name": "entities", "parameters": {"classification": 3}}],
        },
        {"inputs": [_TENSOR], "outputs": [{"name": "entities", "parameters": {"binary_data": 1}}]},
    ],
    ids=count(),
)
def test_a_parameter_that_cannot_be_used_is_refused(body: Any) -> None:
    error = _refusal(body)
    assert error.reason is Reason.OPTION_INVALID
    assert _SECRET not in error.detail


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ({"inputs": []}, "exactly one input"),
        ({"inputs": [_TENSOR, _TENSOR]}, "exactly one input"),
        (_tensor(name=_SECRET), "with the name text"),
        (_tensor(datatype="FP32"), "must be BYTES"),
        (_tensor(shape=[]), "[n] or [n, 1]"),
        (_tensor(shape=[-1]), "[n] or [n, 1]"),
        (_tensor(shape=[1, 2]), "[n] or [n, 1]"),
        (_tensor(shape=[2]), "data holds 1 elements, the shape says 2"),
        (_tensor(data=None), "data holds 0 elements"),
        (_binary(5, [1]), "must be the 0 bytes"),
        ({"inputs": [_TENSOR], "outputs": [{"name": _SECRET}]}, "the one output entities"),
        ({"inputs": [_TENSOR], "outputs": [{"name": "entities"}] * 2}, "the one output entities"),
    ],
    ids=count(),
)
def test_a_tensor_that_does_not_fit_is_refused_and_the_message_says_what_to_change(
    body: Any, hint: str
) -> None:
    error = _refusal(body)
    assert error.reason is Reason.TENSOR_INVALID
    assert hint in error.detail
    assert _SECRET not in error.detail


@pytest.mark.parametrize(
    ("body", "binary", "hint"),
    [
        ({"inputs": [_TENSOR]}, b"abc", "3 bytes follow the JSON"),
        (_binary(4, [1]), b"abc", "must be the 3 bytes"),
        (_binary(True, [1]), b"a", "must be the 1 bytes"),
        (_binary("3", [1]), b"abc", "must be the 3 bytes"),
        (_binary(3, [1]), b"abc", "ends within element 0 of 1"),
        (_binary(8, [1]), pack([b"ab"]) + b"cd", "2 bytes after the 1 elements"),
        (_binary(4, [1]), b"\xff\xff\xff\xff", "ends within element 0 of 1"),
        (_binary(5, [1]), pack([b"\xff"]), "element 0 of text is not UTF-8"),
        (_tensor(parameters={"binary_data_size": 5}), pack([b"a"]), "send text once"),
    ],
    ids=count(),
)
def test_binary_data_that_does_not_fit_is_refused(body: Any, binary: bytes, hint: str) -> None:
    error = _refusal(body, binary)
    assert error.reason is Reason.TENSOR_INVALID
    assert hint in error.detail


@pytest.mark.parametrize("header_length", ["", "-1", "1e3", "9" * 30, "1000", "\u0661"])
def test_a_length_of_the_json_that_cannot_be_is_refused(header_length: str) -> None:
    error = _refusal({"inputs": [_TENSOR]}, header_length=header_length)
    assert error.reason is Reason.TENSOR_INVALID


def test_a_tensor_of_too_many_texts_is_not_looked_into() -> None:
    assert _refusal(_binary(3, [2**62]), b"abc").reason is Reason.TOO_MANY_TEXTS


@pytest.mark.parametrize(
    "body",
    [{}, [], {"inputs": 1}, {"input": [_TENSOR]}, _tensor(data=[1]), _tensor(shape=[1.5])],
    ids=count(),
)
def test_a_body_of_another_form_is_refused(body: Any) -> None:
    assert _refusal(body).reason is Reason.FIELD_INVALID


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    shape=st.lists(st.integers(-2, 4) | st.integers(), max_size=3),
    size=st.integers(-1, 40) | st.booleans() | st.text(max_size=2),
    binary=st.binary(max_size=40) | st.lists(st.binary(max_size=5), max_size=4).map(pack),
    header_length=st.none() | st.integers(0, 200).map(str) | st.text(max_size=4),
)
def test_any_binary_data_is_understood_or_refused(
    shape: list[int], size: Any, binary: bytes, header_length: str | None
) -> None:
    outcome: Reason | int
    try:
        outcome = len(_call(_binary(size, shape), binary, header_length).request.texts)
    except GatewayError as error:
        outcome = error.reason
    assert outcome is not Reason.INTERNAL
    assert not isinstance(outcome, int) or outcome == shape[0]


_PARIS = pb.TextResult(
    entities=pb.Entities(
        entities=[pb.Entity(text="Paris", label="LOC", start=0, end=5, score=0.1 + 0.2)]
    )
)
_EMPTY = pb.TextResult(error=pb.TextError(reason=pb.TEXT_EMPTY, detail="the text is empty"))


def _answered(
    *results: pb.TextResult, is_binary: bool = False, call_id: str = ""
) -> tuple[dict[str, Any], bytes | None]:
    call = InferCall(pb.RecognizeRequest(texts=["a"] * len(results)), call_id, is_binary, None)
    response = pb.RecognizeResponse(model="m", version="2", results=results)
    answer = infer_answer(call, response)
    return json.loads(answer.json), answer.binary


def test_an_answer_is_an_array_for_each_text() -> None:
    answer, binary = _answered(_PARIS, pb.TextResult(entities=pb.Entities()), call_id="x")
    (output,) = answer.pop("outputs")
    assert answer == {"model_name": "m", "model_version": "2", "id": "x"}
    assert (output["name"], output["datatype"], output["shape"]) == ("entities", "BYTES", [2])
    first, second = map(json.loads, output["data"])
    assert first == [{"text": "Paris", "label": "LOC", "start": 0, "end": 5, "score": 0.3}]
    assert (second, binary) == ([], None)


def test_a_binary_answer_follows_the_json() -> None:
    answer, binary = _answered(_PARIS, is_binary=True)
    assert binary is not None
    assert answer["outputs"][0]["parameters"] == {"binary_data_size": len(binary)}
    assert "data" not in answer["outputs"][0]
    assert json.loads(unpack(binary, 1)[0])[0]["text"] == "Paris"
    assert "id" not in answer


def test_one_text_of_several_that_fails_has_its_error_in_its_place() -> None:
    answer, _ = _answered(_EMPTY, _PARIS)
    failed, answered = map(json.loads, answer["outputs"][0]["data"])
    assert failed == {"error": {"reason": "TEXT_EMPTY", "detail": "the text is empty"}}
    assert answered[0]["label"] == "LOC"


def test_a_call_whose_only_text_fails_fails() -> None:
    with pytest.raises(GatewayError) as caught:
        _answered(_EMPTY)
    assert caught.value.reason is Reason.TEXT_EMPTY


def test_a_response_that_does_not_fit_the_call_is_a_fault() -> None:
    call = InferCall(pb.RecognizeRequest(texts=["a", "b"]), "", False, None)
    with pytest.raises(GatewayError) as caught:
        infer_answer(call, pb.RecognizeResponse(results=[_PARIS]))
    assert caught.value.reason is Reason.INTERNAL


def test_an_error_is_one_sentence_with_the_fields_at_fault() -> None:
    error = GatewayError(Reason.FIELD_INVALID, "no", fields=(FieldError("a.0", "not a number"),))
    assert error_members(error, "id") == {"error": "no: a.0: not a number"}
    assert error_members(GatewayError(Reason.INTERNAL, "oh"), "id") == {"error": "oh"}
