"""Translation between Hugging Face's token-classification task and the messages of `ner.v1`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from pydantic_core import to_json

from gateway.errors import INTERNAL_DETAIL, GatewayError, Reason
from gateway.schemas import AggregationName, HubBody
from gateway.wire import AGGREGATIONS, text_failure
from protos.ner.v1 import entity_recognizer_pb2 as pb

# The Hub's hosted models group tokens unless they are told not to, and its client's documentation
# shows that; `transformers.pipeline` itself does not group by default.
DEFAULT_STRATEGY: Final[AggregationName] = "simple"
_OUTSIDE: Final = ("O",)


def classify_request(name: str, body: HubBody) -> pb.ClassifyRequest:
    """Write the call that asks for what the body asks for.

    Args:
        name: the model's.
        body: as the Hub's clients send it.

    Raises:
        GatewayError: NO_TEXTS.
    """
    texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
    if not texts:
        raise GatewayError(Reason.NO_TEXTS, "inputs holds no text: send at least one")
    parameters = body.parameters
    ignored = parameters.ignore_labels if parameters else None
    return pb.ClassifyRequest(
        texts=texts,
        model=name,
        aggregation=AGGREGATIONS[_strategy(body)],
        ignore_labels=_OUTSIDE if ignored is None else ignored,
        stride=parameters.stride if parameters else None,
    )


def classify_answer(body: HubBody, response: pb.ClassifyResponse) -> bytes:
    """Write the JSON answer to a body.

    Raises:
        GatewayError: a text failed (its siblings then have no answer, as the Hub has no form for
            that), or the response does not fit the body.
    """
    texts = 1 if isinstance(body.inputs, str) else len(body.inputs)
    if len(response.results) != texts:
        raise GatewayError(Reason.INTERNAL, INTERNAL_DETAIL)
    for number, result in enumerate(response.results):
        if result.HasField("error"):
            field = "inputs" if isinstance(body.inputs, str) else f"inputs.{number}"
            raise text_failure(result.error, field)
    write = _token if _strategy(body) == "none" else _group
    answers = [[write(one) for one in result.groups.groups] for result in response.results]
    return to_json(answers[0] if isinstance(body.inputs, str) else answers)


def error_members(error: GatewayError, request_id: str) -> Mapping[str, Any]:
    """The body of a failed request, in the form that the Hub's clients read."""
    fields = "; ".join(f"{field.field or 'body'}: {field.detail}" for field in error.fields)
    return MappingProxyType(
        {
            "error": f"{error.detail}: {fields}" if fields else error.detail,
            "error_type": error.reason.value,
            "request_id": request_id,
        }
    )


def _strategy(body: HubBody) -> AggregationName:
    asked = body.parameters.aggregation_strategy if body.parameters else None
    return asked or DEFAULT_STRATEGY


def _group(group: pb.TokenGroup) -> dict[str, Any]:
    return {"entity_group": group.label, **_place(group)}


def _token(group: pb.TokenGroup) -> dict[str, Any]:
    return {"entity": group.label, "index": group.index, **_place(group)}


def _place(group: pb.TokenGroup) -> dict[str, Any]:
    return {"score": group.score, "word": group.word, "start": group.start, "end": group.end}
