"""Translation between the Open Inference Protocol over REST and the messages of `ner.v1`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from pydantic_core import to_json

from gateway.bytes_tensor import pack, unpack
from gateway.errors import INTERNAL_DETAIL, GatewayError, Reason
from gateway.infer_parameters import Value, read_flag, read_options
from gateway.infer_schemas import INFER_BODY, InferBody, InferInput, InferOutput
from gateway.schemas import MAX_TEXTS
from gateway.wire import entities_answer, only_entities, parse_json, text_failure
from protos.ner.v1 import entity_recognizer_pb2 as pb

_INPUT: Final = "text"
_OUTPUT: Final = "entities"
_DATATYPE: Final = "BYTES"
_BINARY_SIZE: Final = "binary_data_size"
# What clients send with a tensor that says nothing new: that it holds strings.
_INPUT_PARAMETERS: Final = frozenset({_BINARY_SIZE, "content_type"})
_BINARY_OUTPUT: Final = "binary_data"


@dataclass(frozen=True, slots=True)
class InferCall:
    """A request, understood."""

    request: pb.RecognizeRequest
    id: str
    is_binary: bool  # the answer goes after the JSON
    timeout_s: float | None


@dataclass(frozen=True, slots=True)
class InferAnswer:
    """The answer to a request."""

    json: bytes
    binary: bytes | None  # what follows the JSON; None: the JSON is all


def error_members(error: GatewayError, _request_id: str) -> Mapping[str, Any]:
    """Write an error as the protocol does."""
    fields = "; ".join(f"{field.field}: {field.detail}" for field in error.fields)
    return {"error": f"{error.detail}: {fields}" if fields else error.detail}


def infer_call(raw: bytes, header_length: str | None, model: str, version: str) -> InferCall:
    """Read a request.

    Args:
        raw: the body, JSON and what follows it.
        header_length: `Inference-Header-Content-Length`, the bytes of the JSON; None: all.
        model: the path's.
        version: the path's; empty: the live one.

    Raises:
        GatewayError: MALFORMED_JSON, FIELD_INVALID, TENSOR_INVALID, OPTION_INVALID or
            TOO_MANY_TEXTS.
    """
    json_bytes = _json_bytes(header_length, len(raw))
    body = parse_json(INFER_BODY, raw[:json_bytes])
    options = read_options(body.parameters)
    is_binary = _is_binary(body.outputs or [], options.is_binary)
    request = pb.RecognizeRequest(
        texts=_texts(body, raw[json_bytes:]),
        model=model,
        version=version,
        options=options.recognize,
    )
    return InferCall(request, body.id or "", is_binary, options.timeout_s)


def infer_answer(call: InferCall, response: pb.RecognizeResponse) -> InferAnswer:
    """Write the answer to a call.

    Raises:
        GatewayError: the only text of the call failed, or the response does not fit the call.
    """
    if len(response.results) != len(call.request.texts):
        raise GatewayError(Reason.INTERNAL, INTERNAL_DETAIL)
    if len(response.results) == 1:
        only_entities(response)  # raises if it failed
    elements = [_element(result) for result in response.results]
    output: dict[str, Any] = {"name": _OUTPUT, "datatype": _DATATYPE, "shape": [len(elements)]}
    binary = pack(elements) if call.is_binary else None
    if binary is None:
        output["data"] = [element.decode() for element in elements]
    else:
        output["parameters"] = {_BINARY_SIZE: len(binary)}
    answer = {
        "model_name": response.model,
        "model_version": response.version,
        **({"id": call.id} if call.id else {}),
        "outputs": [output],
    }
    return InferAnswer(to_json(answer), binary)


def _json_bytes(header_length: str | None, body_bytes: int) -> int:
    if header_length is None:
        return body_bytes
    # At most as many digits as the limit has: int() of a long number takes long.
    valid = header_length.isascii() and header_length.isdigit() and len(header_length) < 12
    if not valid or int(header_length) > body_bytes:
        raise _invalid(
            "Inference-Header-Content-Length must be the number of bytes of the JSON, at most those"
            " of the body"
        )
    return int(header_length)


def _is_binary(outputs: Sequence[InferOutput], default: bool) -> bool:
    if [output.name for output in outputs] not in ([], [_OUTPUT]):
        raise _invalid(f"ask for the one output {_OUTPUT}, or for none to get all")
    for output in outputs:
        _check_parameters("an output", output.parameters, frozenset({_BINARY_OUTPUT}))
        # An output that is asked for says for itself whether it is binary, if it says anything.
        if _BINARY_OUTPUT in output.parameters:
            return read_flag(_BINARY_OUTPUT, output.parameters[_BINARY_OUTPUT])
    return default


def _texts(body: InferBody, binary: bytes) -> list[str]:
    if [tensor.name for tensor in body.inputs] != [_INPUT]:
        raise _invalid(f"send exactly one input, with the name {_INPUT}")
    (tensor,) = body.inputs
    if tensor.datatype != _DATATYPE:
        raise _invalid(f"the datatype of {_INPUT} must be {_DATATYPE}")
    _check_parameters("an input", tensor.parameters, _INPUT_PARAMETERS)
    count = _count(tensor.shape)
    if _BINARY_SIZE in tensor.parameters:
        return _binary_texts(tensor, count, binary)
    if binary:
        raise _invalid(f"{len(binary)} bytes follow the JSON, and no input has {_BINARY_SIZE}")
    return _json_texts(tensor, count)


def _count(shape: Sequence[int]) -> int:
    if not shape or shape[0] < 0 or list(shape[1:]) not in ([], [1]):
        raise _invalid(f"the shape of {_INPUT} must be [n] or [n, 1], for n texts")
    if shape[0] > MAX_TEXTS:
        raise GatewayError(
            Reason.TOO_MANY_TEXTS, f"too many texts in one call: send at most {MAX_TEXTS}"
        )
    return shape[0]


def _binary_texts(tensor: InferInput, count: int, binary: bytes) -> list[str]:
    size = tensor.parameters[_BINARY_SIZE]
    if tensor.data is not None:
        raise _invalid(f"send {_INPUT} once: in data or after the JSON")
    if isinstance(size, bool) or size != len(binary):
        raise _invalid(
            f"{_BINARY_SIZE} must be the {len(binary)} bytes that follow the JSON; the header"
            " Inference-Header-Content-Length says where it ends"
        )
    return [_text(index, data) for index, data in enumerate(unpack(binary, count))]


def _json_texts(tensor: InferInput, count: int) -> list[str]:
    rows = ([row] if isinstance(row, str) else row for row in tensor.data or ())
    texts = list(chain.from_iterable(rows))
    if len(texts) != count:
        raise _invalid(f"data holds {len(texts)} elements, the shape says {count}")
    return texts


def _text(index: int, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _invalid(f"element {index} of {_INPUT} is not UTF-8") from None


def _check_parameters(owner: str, parameters: Mapping[str, Value], known: frozenset[str]) -> None:
    if not parameters.keys() <= known:
        raise GatewayError(
            Reason.OPTION_INVALID,
            f"a parameter of {owner} is unknown: options go into the request's parameters, and"
            " data into the request, not into shared memory",
        )


def _element(result: pb.TextResult) -> bytes:
    if result.HasField("error"):
        failure = text_failure(result.error)
        return to_json({"error": {"reason": failure.reason.value, "detail": failure.detail}})
    return to_json(entities_answer(result.entities.entities))


def _invalid(detail: str) -> GatewayError:
    return GatewayError(Reason.TENSOR_INVALID, detail)
