"""Translation between the tensors of the Open Inference Protocol and queries of the engine."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from pydantic_core import to_json

from inference.core import Entity, RecognizeAnswer, RecognizeQuery
from inference.errors import Reason, RecognitionError, RequestInvalid, TextRejected
from inference.servicers.bytes_tensor import pack, unpack
from inference.servicers.infer_parameters import read_options
from protos.inference import open_inference_pb2 as pb

INPUT = "text"
OUTPUT = "entities"
DATATYPE = "BYTES"
# What clients send with a tensor that says nothing new: its size, and that it holds strings.
INPUT_PARAMETERS = frozenset({"binary_data_size", "content_type"})
# Of REST; over gRPC the answer to a raw request is raw.
OUTPUT_PARAMETERS = frozenset({"binary_data"})


@dataclass(frozen=True, slots=True)
class InferCall:
    """A request, understood."""

    query: RecognizeQuery
    id: str
    is_raw: bool
    timeout_ns: int | None  # the caller's, from now


def read_call(request: pb.ModelInferRequest, max_texts: int) -> InferCall:
    """Reads a request.

    Args:
        request: from the wire.
        max_texts: most texts of a call; a larger tensor is not looked into.

    Raises:
        RequestInvalid: OPTION_INVALID, TENSOR_INVALID or TOO_MANY_TEXTS.
    """
    options = read_options(request.parameters)
    _check_outputs(request.outputs)
    query = RecognizeQuery(
        texts=_texts(request, max_texts),
        model=request.model_name,
        version=request.model_version,
        labels=options.labels,
        min_score=options.min_score,
        aggregation=options.aggregation,
        offset_unit=options.offset_unit,
        priority=options.priority,
    )
    return InferCall(query, request.id, bool(request.raw_input_contents), options.timeout_ns)


def write_answer(call: InferCall, answer: RecognizeAnswer) -> pb.ModelInferResponse:
    """Writes the answer to a call.

    Raises:
        RecognitionError: the only text of the call failed.
    """
    if len(answer.results) == 1 and isinstance(answer.results[0], TextRejected):
        raise RecognitionError(answer.results[0].reason, answer.results[0].detail)
    elements = [_element(result) for result in answer.results]
    response = pb.ModelInferResponse(
        model_name=answer.model, model_version=answer.version, id=call.id
    )
    output = response.outputs.add(name=OUTPUT, datatype=DATATYPE, shape=[len(elements)])
    if call.is_raw:
        response.raw_output_contents.append(pack(elements))
    else:
        output.contents.bytes_contents.extend(elements)
    return response


def _element(result: list[Entity] | TextRejected) -> bytes:
    if isinstance(result, TextRejected):
        return to_json({"error": {"reason": result.reason.value, "detail": result.detail}})
    return to_json(
        [
            {
                "text": entity.text,
                "label": entity.label,
                "start": entity.start,
                "end": entity.end,
                # In single precision first, as `ner.v1` carries it: REST shows the same digits.
                "score": round(float(np.float32(entity.score)), 6),
            }
            for entity in result
        ]
    )


def _check_outputs(outputs: Iterable[pb.ModelInferRequest.InferRequestedOutputTensor]) -> None:
    names = [output.name for output in outputs]
    if names not in ([], [OUTPUT]):
        raise _invalid(f"ask for the one output {OUTPUT}, or for none to get all")
    for output in outputs:
        _check_parameters("an output", output.parameters, OUTPUT_PARAMETERS)


def _texts(request: pb.ModelInferRequest, max_texts: int) -> list[str]:
    if [tensor.name for tensor in request.inputs] != [INPUT]:
        raise _invalid(f"send exactly one input, with the name {INPUT}")
    (tensor,) = request.inputs
    if tensor.datatype != DATATYPE:
        raise _invalid(f"the datatype of {INPUT} must be {DATATYPE}")
    _check_parameters("an input", tensor.parameters, INPUT_PARAMETERS)
    count = _count(tensor.shape, max_texts)
    return [_text(index, data) for index, data in enumerate(_elements(request, count))]


def _count(shape: Iterable[int], max_texts: int) -> int:
    count, *rest = [*shape] or [-1]
    if count < 0 or rest not in ([], [1]):
        raise _invalid(f"the shape of {INPUT} must be [n] or [n, 1], for n texts")
    if count > max_texts:
        raise RequestInvalid(
            Reason.TOO_MANY_TEXTS, f"{count} texts in one call: send at most {max_texts}"
        )
    return count


def _elements(request: pb.ModelInferRequest, count: int) -> list[bytes]:
    contents = request.inputs[0].contents
    if request.raw_input_contents:
        if contents.ByteSize() or len(request.raw_input_contents) != 1:
            raise _invalid(
                f"send {INPUT} once: in raw_input_contents or in contents.bytes_contents"
            )
        return unpack(request.raw_input_contents[0], count)
    if any(field.name != "bytes_contents" for field, _ in contents.ListFields()):
        raise _invalid(f"the contents of {INPUT} stand in bytes_contents, and in no other field")
    if len(contents.bytes_contents) != count:
        raise _invalid(
            f"contents.bytes_contents holds {len(contents.bytes_contents)} elements, the shape says"
            f" {count}"
        )
    return list(contents.bytes_contents)


def _text(index: int, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _invalid(f"element {index} of {INPUT} is not UTF-8") from None


def _check_parameters(
    owner: str, parameters: Mapping[str, pb.InferParameter], known: frozenset[str]
) -> None:
    if not parameters.keys() <= known:
        raise RequestInvalid(
            Reason.OPTION_INVALID,
            f"a parameter of {owner} is unknown: options go into the request's parameters, and"
            " data into the request, not into shared memory",
        )


def _invalid(detail: str) -> RequestInvalid:
    return RequestInvalid(Reason.TENSOR_INVALID, detail)
