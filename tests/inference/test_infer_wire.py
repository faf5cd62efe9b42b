import json
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.core import (
    Aggregation,
    Entity,
    OffsetUnit,
    Priority,
    RecognizeAnswer,
    RecognizeQuery,
    Timings,
)
from inference.errors import Reason, RecognitionError, RequestInvalid, TextRejected
from inference.servicers.bytes_tensor import pack, unpack
from inference.servicers.infer_parameters import IGNORED, READERS
from inference.servicers.infer_wire import InferCall, read_call, write_answer
from protos.inference import open_inference_pb2 as pb

_MAX_TEXTS = 4
_SECRET = "Angela Merkel"

_Input = pb.ModelInferRequest.InferInputTensor
_Output = pb.ModelInferRequest.InferRequestedOutputTensor


def _request(
    *texts: bytes, raw: bytes | None = None, shape: tuple[int, ...] | None = None, **fields: Any
) -> pb.ModelInferRequest:
    """A request with one input; contents as given, or raw."""
    tensor = _Input(name="text", datatype="BYTES", shape=shape or (len(texts),))
    request = pb.ModelInferRequest(inputs=[tensor], **fields)
    if raw is None:
        request.inputs[0].contents.bytes_contents.extend(texts)
    else:
        request.raw_input_contents.append(raw)
    return request


def _with(name: str, **value: Any) -> pb.ModelInferRequest:
    return _request(b"a", parameters={name: pb.InferParameter(**value)})


def test_a_request_with_everything() -> None:
    parameters = {
        "labels": pb.InferParameter(string_param=" PER, LOC,"),
        "min_score": pb.InferParameter(double_param=0.5),
        "aggregation": pb.InferParameter(string_param="max"),
        "offset_unit": pb.InferParameter(string_param="utf16"),
        "timeout": pb.InferParameter(int64_param=1_500),
    }
    request = _request(
        b"a",
        "é".encode(),
        model_name="m",
        model_version="2",
        id="x",
        parameters=parameters,
        outputs=[_Output(name="entities")],
    )
    query = RecognizeQuery(
        texts=["a", "é"],
        model="m",
        version="2",
        labels=frozenset({"PER", "LOC"}),
        min_score=0.5,
        aggregation=Aggregation.MAX,
        offset_unit=OffsetUnit.UTF16,
    )
    assert read_call(request, _MAX_TEXTS) == InferCall(query, "x", False, 1_500_000)


def test_a_request_without_options_asks_for_the_defaults() -> None:
    assert read_call(_request(b"a"), _MAX_TEXTS) == InferCall(
        RecognizeQuery(texts=["a"]), "", False, None
    )


def test_texts_may_stand_in_a_column() -> None:
    call = read_call(_request(b"a", b"b", shape=(2, 1)), _MAX_TEXTS)
    assert call.query.texts == ["a", "b"]


def test_texts_may_be_raw() -> None:
    call = read_call(_request(raw=pack([b"a", b""]), shape=(2,)), _MAX_TEXTS)
    assert (call.query.texts, call.is_raw) == (["a", ""], True)


@pytest.mark.parametrize(
    "value",
    [{"double_param": 0.25}, {"string_param": "0.25"}, {"string_param": "2.5e-1"}],
    ids=str,
)
def test_a_score_may_be_a_string_for_clients_that_know_no_double(value: dict[str, Any]) -> None:
    assert read_call(_with("min_score", **value), _MAX_TEXTS).query.min_score == 0.25


def test_a_score_of_zero_is_not_the_model_s_default() -> None:
    assert read_call(_request(b"a"), _MAX_TEXTS).query.min_score is None
    assert read_call(_with("min_score", int64_param=0), _MAX_TEXTS).query.min_score == 0.0


def test_a_score_is_compared_as_over_the_other_protocol() -> None:
    """`ner.v1` carries it in single precision, where 0.7 is a little less."""
    assert read_call(_with("min_score", double_param=0.7), 1).query.min_score == 0.699999988079071


@pytest.mark.parametrize("option", [*Aggregation])
def test_every_aggregation_is_known(option: Aggregation) -> None:
    request = _with("aggregation", string_param=option.value)
    assert read_call(request, _MAX_TEXTS).query.aggregation is option


@pytest.mark.parametrize("option", [*OffsetUnit])
def test_every_offset_unit_is_known(option: OffsetUnit) -> None:
    request = _with("offset_unit", string_param=option.value)
    assert read_call(request, _MAX_TEXTS).query.offset_unit is option


@pytest.mark.parametrize("option", [*Priority])
def test_every_priority_is_known(option: Priority) -> None:
    request = _with("priority", string_param=option.value)
    assert read_call(request, _MAX_TEXTS).query.priority is option


@pytest.mark.parametrize(
    ("level", "priority"),
    [(0, Priority.INTERACTIVE), (1, Priority.INTERACTIVE), (2, Priority.BULK)],
)
def test_tritons_levels_of_priority_are_known(level: int, priority: Priority) -> None:
    request = _with("priority", uint64_param=level)
    assert read_call(request, _MAX_TEXTS).query.priority is priority


def test_every_option_of_a_query_is_a_parameter() -> None:
    """A new option fails here until clients of this protocol can ask for it."""
    fields = set(RecognizeQuery.__dataclass_fields__) - {"texts", "model", "version"}
    assert fields == set(READERS) - {"timeout"}


@pytest.mark.parametrize("name", IGNORED)
def test_what_tritons_client_adds_to_a_stream_changes_nothing(name: str) -> None:
    assert read_call(_with(name, bool_param=True), _MAX_TEXTS) == read_call(_request(b"a"), 1)


@pytest.mark.parametrize(
    "request_",
    [
        _with(_SECRET, string_param="x"),
        _with("labels", int64_param=1),
        _with("labels"),
        _with("min_score", bool_param=True),
        _with("min_score", string_param=_SECRET),
        _with("min_score", string_param="nan"),
        _with("min_score", double_param=1.01),
        _with("min_score", double_param=1e300),
        _with("min_score", int64_param=-1),
        _with("aggregation", string_param=_SECRET),
        _with("aggregation", bool_param=True),
        _with("offset_unit", string_param=_SECRET),
        _with("priority", int64_param=-1),
        _with("priority", string_param=_SECRET),
        _with("timeout", int64_param=0),
        _with("timeout", string_param="5"),
        _request(b"a", outputs=[_Output(name="entities", parameters=_with("x").parameters)]),
    ],
    ids=count(),
)
def test_a_parameter_that_cannot_be_used_is_refused(request_: pb.ModelInferRequest) -> None:
    with pytest.raises(RequestInvalid) as caught:
        read_call(request_, _MAX_TEXTS)
    assert caught.value.reason is Reason.OPTION_INVALID
    assert _SECRET not in caught.value.detail


def _tensor(**fields: Any) -> pb.ModelInferRequest:
    return pb.ModelInferRequest(inputs=[_Input(**fields)])


_TEXT = pb.InferTensorContents(bytes_contents=[_SECRET.encode()])


@pytest.mark.parametrize(
    ("request_", "hint"),
    [
        (pb.ModelInferRequest(), "exactly one input"),
        (_tensor(name=_SECRET, datatype="BYTES", shape=[1], contents=_TEXT), "the name text"),
        (_tensor(name="text", datatype="FP32", shape=[1], contents=_TEXT), "must be BYTES"),
        (_tensor(name="text", datatype="BYTES", contents=_TEXT), r"\[n\] or \[n, 1\]"),
        (_tensor(name="text", datatype="BYTES", shape=[-1], contents=_TEXT), r"\[n\]"),
        (_tensor(name="text", datatype="BYTES", shape=[1, 2], contents=_TEXT), r"\[n, 1\]"),
        (_tensor(name="text", datatype="BYTES", shape=[1, 1, 1], contents=_TEXT), r"\[n, 1\]"),
        (_tensor(name="text", datatype="BYTES", shape=[2], contents=_TEXT), "holds 1 elements"),
        (_tensor(name="text", datatype="BYTES", shape=[1]), "holds 0 elements"),
        (
            _tensor(
                name="text",
                datatype="BYTES",
                shape=[1],
                contents=pb.InferTensorContents(bytes_contents=[b"a"], int_contents=[1]),
            ),
            "no other field",
        ),
        (_request(b"\xff\xfe", b"a"), "element 0 of text is not UTF-8"),
        (_request(b"a", b"\xed\xa0\x80"), "element 1 of text is not UTF-8"),
        (_request(raw=b"\x00", shape=(1,)), "ends within element 0 of 1"),
        (
            pb.ModelInferRequest(
                inputs=[_Input(name="text", datatype="BYTES", shape=[1], contents=_TEXT)],
                raw_input_contents=[pack([b"a"])],
            ),
            "send text once",
        ),
        (
            pb.ModelInferRequest(
                inputs=[_Input(name="text", datatype="BYTES", shape=[1])],
                raw_input_contents=[pack([b"a"])] * 2,
            ),
            "send text once",
        ),
        (_request(b"a", outputs=[_Output(name=_SECRET)]), "the one output entities"),
        (_request(b"a", outputs=[_Output(name="entities")] * 2), "the one output entities"),
    ],
    ids=count(),
)
def test_a_tensor_that_does_not_fit_is_refused_and_the_message_says_what_to_change(
    request_: pb.ModelInferRequest, hint: str
) -> None:
    with pytest.raises(RequestInvalid, match=hint) as caught:
        read_call(request_, _MAX_TEXTS)
    assert caught.value.reason is Reason.TENSOR_INVALID
    assert _SECRET not in caught.value.detail


def test_data_in_shared_memory_is_refused() -> None:
    request = _request(b"a")
    request.inputs[0].parameters["shared_memory_region"].string_param = "x"
    with pytest.raises(RequestInvalid, match="not into shared memory"):
        read_call(request, _MAX_TEXTS)


def test_a_tensor_of_too_many_texts_is_not_looked_into() -> None:
    with pytest.raises(RequestInvalid) as caught:
        read_call(_request(raw=b"no tensor at all", shape=(2**62,)), _MAX_TEXTS)
    assert caught.value.reason is Reason.TOO_MANY_TEXTS


_names = st.sampled_from(["text", "entities", "", "x"])
_parameters = st.dictionaries(
    st.sampled_from([*READERS, *IGNORED, "x"]),
    st.one_of(
        st.builds(pb.InferParameter),
        st.builds(pb.InferParameter, string_param=st.text(max_size=5)),
        st.builds(pb.InferParameter, double_param=st.floats()),
        st.builds(pb.InferParameter, int64_param=st.integers(-(2**63), 2**63 - 1)),
        st.builds(pb.InferParameter, uint64_param=st.integers(0, 2**64 - 1)),
    ),
    max_size=2,
)
_inputs = st.builds(
    _Input,
    name=_names,
    datatype=st.sampled_from(["BYTES", "FP32", ""]),
    shape=st.lists(st.integers(-2, 5) | st.integers(-(2**63), 2**63 - 1), max_size=3),
    contents=st.builds(
        pb.InferTensorContents,
        bytes_contents=st.lists(st.binary(max_size=8), max_size=3),
        bool_contents=st.lists(st.booleans(), max_size=1),
    ),
)


# Drawing a message takes long on a busy machine, and that is no fault of what is tested.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.builds(
        pb.ModelInferRequest,
        parameters=_parameters,
        inputs=st.lists(_inputs, max_size=2),
        outputs=st.lists(st.builds(_Output, name=_names), max_size=2),
        raw_input_contents=st.lists(st.binary(max_size=30), max_size=2),
    )
)
def test_any_request_is_understood_or_refused(request_: pb.ModelInferRequest) -> None:
    try:
        call = read_call(request_, _MAX_TEXTS)
    except RequestInvalid:
        return
    assert len(call.query.texts) <= _MAX_TEXTS


def _answer(*results: list[Entity] | TextRejected) -> RecognizeAnswer:
    return RecognizeAnswer("m", "2", list(results), Timings())


_PARIS = [Entity("Paris", "LOC", 0, 5, 0.1 + 0.2)]
_EMPTY = TextRejected(Reason.TEXT_EMPTY, "the text is empty")


def test_an_answer_is_an_array_for_each_text() -> None:
    call = InferCall(RecognizeQuery(texts=["Paris", ""]), "x", False, None)
    response = write_answer(call, _answer(_PARIS, []))
    assert (response.model_name, response.model_version, response.id) == ("m", "2", "x")
    (output,) = response.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("entities", "BYTES", [2])
    first, second = map(json.loads, output.contents.bytes_contents)
    assert first == [{"text": "Paris", "label": "LOC", "start": 0, "end": 5, "score": 0.3}]
    assert second == []
    assert not response.raw_output_contents


def test_the_answer_to_a_raw_request_is_raw() -> None:
    call = InferCall(RecognizeQuery(texts=["Paris"]), "", True, None)
    response = write_answer(call, _answer(_PARIS))
    (raw,) = response.raw_output_contents
    assert json.loads(unpack(raw, 1)[0])[0]["text"] == "Paris"
    assert not response.outputs[0].HasField("contents")


def test_one_text_of_several_that_fails_has_its_error_in_its_place() -> None:
    call = InferCall(RecognizeQuery(texts=["", "Paris"]), "", False, None)
    contents = write_answer(call, _answer(_EMPTY, _PARIS)).outputs[0].contents
    failed, answered = map(json.loads, contents.bytes_contents)
    assert failed == {"error": {"reason": "TEXT_EMPTY", "detail": "the text is empty"}}
    assert answered[0]["label"] == "LOC"


def test_a_call_whose_only_text_fails_fails() -> None:
    call = InferCall(RecognizeQuery(texts=[""]), "", False, None)
    with pytest.raises(RecognitionError) as caught:
        write_answer(call, _answer(_EMPTY))
    assert caught.value.reason is Reason.TEXT_EMPTY
