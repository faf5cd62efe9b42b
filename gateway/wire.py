"""Translation between the JSON of the REST interface and the messages of `ner.v1`."""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from gateway.errors import INTERNAL_DETAIL, MAX_DETAIL_CHARS, FieldError, GatewayError, Reason
from gateway.schemas import AggregationName, OffsetUnitName, PriorityName, RecognizeBody
from protos.ner.v1 import entity_recognizer_pb2 as pb

Body = TypeVar("Body")

AGGREGATIONS: Final[Mapping[AggregationName, pb.Aggregation.ValueType]] = MappingProxyType(
    {
        "first": pb.Aggregation.FIRST,
        "simple": pb.Aggregation.SIMPLE,
        "average": pb.Aggregation.AVERAGE,
        "max": pb.Aggregation.MAX,
        "none": pb.Aggregation.NONE,
    }
)

OFFSET_UNITS: Final[Mapping[OffsetUnitName, pb.OffsetUnit.ValueType]] = MappingProxyType(
    {
        "codepoint": pb.OffsetUnit.CODEPOINT,
        "utf16": pb.OffsetUnit.UTF16,
        "byte": pb.OffsetUnit.BYTE,
    }
)

PRIORITIES: Final[Mapping[PriorityName, pb.Priority.ValueType]] = MappingProxyType(
    {"interactive": pb.Priority.INTERACTIVE, "bulk": pb.Priority.BULK}
)


# Problems are read by people: more errors than this, or longer names, help nobody.
_MAX_FIELD_ERRORS: Final = 10
_MAX_FIELD_CHARS: Final = 64

# How pydantic-core's parser (jiter) words the two cases of half a surrogate pair.
_LONE_SURROGATE: Final = re.compile(r"lone .*surrogate|unexpected end of hex escape")


def parse_json(adapter: TypeAdapter[Body], raw: bytes, part: str = "the body") -> Body:
    """Check JSON against its schema.

    Args:
        adapter: the schema.
        raw: JSON in UTF-8.
        part: of the request, for errors.

    Raises:
        GatewayError: MALFORMED_JSON or FIELD_INVALID.
    """
    try:
        return adapter.validate_json(raw)
    except ValidationError as error:
        raise _body_error(error, part) from None


def parse_query(adapter: TypeAdapter[Body], query: Mapping[str, object]) -> Body:
    """Check the parameters of a query string against their schema.

    Raises:
        GatewayError: FIELD_INVALID.
    """
    try:
        return adapter.validate_python(query)
    except ValidationError as error:
        raise _body_error(error, "the query string") from None


def recognize_request(body: RecognizeBody) -> pb.RecognizeRequest:
    """Write the call that asks for what the body asks for.

    Raises:
        GatewayError: FIELD_INVALID (not exactly one of `text` and `texts`), TEXT_EMPTY or NO_TEXTS.
    """
    return pb.RecognizeRequest(
        texts=_texts(body),
        model=body.model or "",
        version=body.version or "",
        options=pb.RecognizeOptions(
            labels=body.labels or (),
            min_score=body.min_score,
            aggregation=AGGREGATIONS[body.aggregation],
            offset_unit=OFFSET_UNITS[body.offset_unit],
            priority=PRIORITIES[body.priority],
        ),
    )


def recognize_answer(body: RecognizeBody, response: pb.RecognizeResponse) -> bytes:
    """Write the JSON answer to a body.

    Raises:
        GatewayError: the body's single text failed, or the response does not fit the body.
    """
    answer: dict[str, Any] = {"model": response.model, "version": response.version}
    if body.texts is None:
        answer["entities"] = entities_answer(only_entities(response))
    elif len(response.results) == len(body.texts):
        answer["results"] = [_result(result) for result in response.results]
    else:
        raise GatewayError(Reason.INTERNAL, INTERNAL_DETAIL)
    if body.timings:
        timings = response.timings
        answer["timings"] = {
            "tokenize_ns": timings.tokenize_ns,
            "queue_ns": timings.queue_ns,
            "inference_ns": timings.inference_ns,
            "decode_ns": timings.decode_ns,
        }
    return to_json(answer)


def only_entities(response: pb.RecognizeResponse) -> Sequence[pb.Entity]:
    """Take the entities of a call with one text.

    Raises:
        GatewayError: the text failed, or the response does not hold one result.
    """
    if len(response.results) != 1:
        raise GatewayError(Reason.INTERNAL, INTERNAL_DETAIL)
    return entities_of(response.results[0])


def entities_of(result: pb.TextResult) -> Sequence[pb.Entity]:
    """Take the entities of one text.

    Raises:
        GatewayError: the text failed.
    """
    if result.HasField("error"):
        raise text_failure(result.error)
    return result.entities.entities


def entities_answer(entities: Sequence[pb.Entity]) -> list[dict[str, Any]]:
    """Write entities."""
    return [
        {
            "text": entity.text,
            "label": entity.label,
            "start": entity.start,
            "end": entity.end,
            "score": round(entity.score, 6),
        }
        for entity in entities
    ]


def text_failure(error: pb.TextError, field: str = "") -> GatewayError:
    """Translate the failure of one text; `field` says which of several it is."""
    detail = error.detail[:MAX_DETAIL_CHARS]
    return GatewayError(_reason(error.reason), f"{field}: {detail}" if field else detail)


def models_answer(response: pb.ListModelsResponse) -> dict[str, Any]:
    """Write every model with its versions."""
    return {
        "default_model": response.default_model,
        "models": [
            _model(name, list(versions))
            for name, versions in groupby(response.models, key=lambda version: version.name)
        ],
    }


def model_answer(response: pb.ListModelsResponse, name: str) -> dict[str, Any]:
    """Write one model with its versions.

    Raises:
        GatewayError: MODEL_NOT_FOUND.
    """
    versions = [version for version in response.models if version.name == name]
    if not versions:
        raise GatewayError(
            Reason.MODEL_NOT_FOUND, "no such model: GET /v1/models lists those that are served"
        )
    return _model(name, versions)


def _texts(body: RecognizeBody) -> list[str]:
    if (body.text is None) == (body.texts is None):
        detail = "send exactly one of text and texts"
        raise GatewayError(Reason.FIELD_INVALID, detail, fields=(FieldError("text", detail),))
    if body.text is not None:
        if not body.text:
            raise GatewayError(Reason.TEXT_EMPTY, "the text has no characters")
        return [body.text]
    if not body.texts:
        raise GatewayError(Reason.NO_TEXTS, "texts holds no text: send at least one")
    return body.texts


def _result(result: pb.TextResult) -> dict[str, Any]:
    if result.HasField("error"):
        return {
            "error": {
                "reason": _reason(result.error.reason),
                "detail": result.error.detail[:MAX_DETAIL_CHARS],
            }
        }
    return {"entities": entities_answer(result.entities.entities)}


def _reason(value: pb.ErrorReason.ValueType) -> Reason:
    """Name a reason; one that a newer inference service added is INTERNAL."""
    descriptor = pb.DESCRIPTOR.enum_types_by_name["ErrorReason"].values_by_number.get(value)
    return Reason.__members__.get(descriptor.name if descriptor else "", Reason.INTERNAL)


def _model(name: str, versions: Sequence[pb.ModelVersion]) -> dict[str, Any]:
    return {
        "name": name,
        "live_version": next((version.version for version in versions if version.live), None),
        "versions": [
            {
                "version": version.version,
                "state": _state(version.state),
                "detail": version.detail,
                "live": version.live,
                "aliases": list(version.aliases),
                "labels": list(version.labels),
                "max_window_tokens": version.max_window_tokens,
                "min_score": version.min_score,
                "label_consistency": version.label_consistency,
            }
            for version in versions
        ],
    }


def _state(value: pb.ModelVersion.State.ValueType) -> str:
    descriptor = pb.ModelVersion.DESCRIPTOR.enum_types_by_name["State"].values_by_number.get(value)
    return descriptor.name if descriptor else "STATE_UNSPECIFIED"


def _body_error(error: ValidationError, part: str) -> GatewayError:
    # The names of a million unknown fields are not worth the time to list them.
    if error.error_count() > 1000:
        return GatewayError(Reason.FIELD_INVALID, f"{part} has more than 1000 invalid fields")
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    if problems[0]["type"] == "json_invalid":
        detail = problems[0]["msg"]
        if _LONE_SURROGATE.search(detail):
            detail += " (half of a surrogate pair is not a character)"
        return GatewayError(Reason.MALFORMED_JSON, detail)
    fields = tuple(
        FieldError(
            ".".join(str(part) for part in problem["loc"])[:_MAX_FIELD_CHARS], problem["msg"]
        )
        for problem in problems[:_MAX_FIELD_ERRORS]
    )
    return GatewayError(Reason.FIELD_INVALID, f"{part} does not fit its schema", fields=fields)
