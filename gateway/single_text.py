"""One text of a request that may travel in one call with the texts of others."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from pydantic_core import to_json

from gateway.schemas import RecognizeBody
from gateway.wire import entities_answer, entities_of, recognize_request
from protos.ner.v1 import entity_recognizer_pb2 as pb


@dataclass(frozen=True, slots=True)
class SingleQuery:
    """One text, and what is asked for.

    Attributes:
        text: not empty.
        options: a serialized `RecognizeRequest` without texts; the same bytes ask for the same.
        is_ordinary: whether somebody waits for an answer of the default model.
    """

    text: str
    options: bytes
    is_ordinary: bool = True


@dataclass(frozen=True, slots=True)
class SingleResult:
    """The result of one text of a call.

    Attributes:
        model: the model that answered.
        version: the version that answered.
        result: entities or an error.
    """

    model: str
    version: str
    result: pb.TextResult


def is_ordinary(body: RecognizeBody) -> bool:
    """Say whether somebody waits for an answer of the default model."""
    return not body.model and body.priority != "bulk"


def single_query(body: RecognizeBody, *, ordinary: bool = True) -> SingleQuery | None:
    """Take the one text of a body, if it may travel with the texts of other requests.

    Args:
        body: as it is to be asked.
        ordinary: `is_ordinary` of what the caller sent, who may not have named the model.

    Returns:
        None if it may not: several texts are a call already, and timings are those of a call.

    Raises:
        GatewayError: FIELD_INVALID or TEXT_EMPTY.
    """
    if body.texts is not None or body.timings:
        return None
    # Most bodies hold nothing but a text; what they ask for need not be written out each time.
    if body.text and len(body.model_fields_set) == 1:
        return SingleQuery(body.text, _default_options(), ordinary)
    request = recognize_request(body)
    text = request.texts[0]
    return SingleQuery(text, _options(request), ordinary)


def joined_request(queries: Sequence[SingleQuery]) -> pb.RecognizeRequest:
    """Write one call for texts that ask for the same."""
    request = pb.RecognizeRequest.FromString(queries[0].options)
    request.texts.extend([query.text for query in queries])
    return request


def single_results(response: pb.RecognizeResponse) -> list[SingleResult]:
    """Take a call's results apart, in the order of its texts."""
    model, version = response.model, response.version
    return [SingleResult(model, version, result) for result in response.results]


def single_answer(answer: SingleResult) -> bytes:
    """Write the JSON answer to a body with one text.

    Raises:
        GatewayError: the text failed.
    """
    entities = entities_answer(entities_of(answer.result))
    return to_json({"model": answer.model, "version": answer.version, "entities": entities})


@cache
def _default_options() -> bytes:
    return _options(recognize_request(RecognizeBody(text="any")))


def _options(request: pb.RecognizeRequest) -> bytes:
    request.ClearField("texts")
    return request.SerializeToString(deterministic=True)
