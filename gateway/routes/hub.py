"""`/models/{name}`: the token-classification task of Hugging Face's Hub."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from gateway.admission import Admission
from gateway.client import InferenceClient
from gateway.deadline import Deadline
from gateway.errors import STATUS_BY_REASON, GatewayError, Reason
from gateway.hub import classify_answer, classify_request, error_members
from gateway.metrics import GatewayMetrics
from gateway.middleware import request_id_of
from gateway.routes.direct import DirectRoute
from gateway.routes.request import TIMEOUT_PARAMETER, read_json, timeout_s
from gateway.schemas import HUB_BODY

PATH_PREFIX: Final = "/models/"

_TEXT: Final = "My name is Sarah Jessica Parker but you can call me Jessica"
_GROUPS: Final = [
    {
        "entity_group": "PER",
        "score": 0.944078266620636,
        "word": "Sarah Jessica Parker",
        "start": 11,
        "end": 31,
    },
    {
        "entity_group": "PER",
        "score": 0.9403552412986755,
        "word": "Jessica",
        "start": 52,
        "end": 59,
    },
]
_CITY: Final = "She lives in Paris."
_TOKEN: Final = {
    "entity": "B-LOC",
    "index": 4,
    "score": 0.9271422624588013,
    "word": "Paris",
    "start": 13,
    "end": 18,
}
_REQUEST_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/HubBody"},
            "examples": {
                "one text": {"value": {"inputs": _TEXT}},
                "several texts": {"value": {"inputs": [_TEXT, "Nothing here."]}},
                "strategy none": {
                    "value": {"inputs": _CITY, "parameters": {"aggregation_strategy": "none"}}
                },
                "with parameters": {
                    "value": {
                        "inputs": _TEXT,
                        "parameters": {
                            "aggregation_strategy": "first",
                            "ignore_labels": ["O", "MISC"],
                            "stride": 32,
                        },
                    }
                },
            },
        }
    },
}
_ENTITIES: Final = {"type": "array", "items": {"$ref": "#/components/schemas/HubEntity"}}
_ANSWER: Final[dict[str, Any]] = {
    "description": "Groups of tokens; one list for each text where several were sent.",
    "content": {
        "application/json": {
            "schema": {"anyOf": [_ENTITIES, {"type": "array", "items": _ENTITIES}]},
            "examples": {
                "one text": {"value": _GROUPS},
                "several texts": {"value": [_GROUPS, []]},
                "strategy none": {"value": [_TOKEN]},
            },
        }
    },
}
_REASONS: Final = (
    Reason.MALFORMED_JSON,
    Reason.MODEL_NOT_FOUND,
    Reason.BODY_TOO_LARGE,
    Reason.BODIES_FULL,
    Reason.UNSUPPORTED_MEDIA_TYPE,
    Reason.FIELD_INVALID,
    Reason.TEXT_TOO_LONG,
    Reason.NO_TEXTS,
    Reason.TOO_MANY_TEXTS,
    Reason.OPTION_INVALID,
    Reason.QUEUE_FULL,
    Reason.INTERNAL,
    Reason.INFERENCE_UNAVAILABLE,
    Reason.DRAINING,
    Reason.DEADLINE_EXCEEDED,
)
_NAME_PARAMETER: Final = {
    "name": "name",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
}


def create_router(
    client: InferenceClient,
    metrics: GatewayMetrics,
    request_timeout_ms: int,
    admission: Admission,
) -> APIRouter:
    """Make the routes.

    Args:
        client: answers.
        metrics: counts the texts.
        request_timeout_ms: longest time for one answer.
        admission: decides whether texts may go to a model.
    """
    router = APIRouter(route_class=DirectRoute, tags=["Hugging Face"])

    @router.post(
        PATH_PREFIX + "{name}",
        summary="Classify tokens as Hugging Face's pipeline does",
        response_class=Response,
        responses={200: _ANSWER, **refusals(*_REASONS)},
        openapi_extra={
            "requestBody": _REQUEST_BODY,
            "parameters": [_NAME_PARAMETER, TIMEOUT_PARAMETER],
        },
    )
    async def classify(request: Request) -> Response:
        """Answer as `transformers.pipeline` would, for `huggingface_hub.InferenceClient`.

        Groups, scores and words follow the pipeline's rules, which differ from those of
        `/v1/entities`: labels need not be legal in their order, and words are guessed from pieces.
        A text longer than the model takes is not cut off.
        """
        wait_s = timeout_s(request, request_timeout_ms)
        body = await read_json(request, HUB_BODY)
        call = classify_request(request.path_params["name"], body)
        deadline = Deadline.after(wait_s)
        call.model = await admission.admit(request.scope, call.model, call.texts, deadline)
        metrics.texts.inc(len(call.texts))
        response = await client.classify(call, deadline.left_s, request_id_of(request.scope))
        metrics.answered(response.model, response.version, len(call.texts))
        return Response(classify_answer(body, response), media_type="application/json")

    return router


def refusals(*reasons: Reason) -> dict[int | str, dict[str, Any]]:
    """Describe the errors that the route may answer with, for OpenAPI, in the form of the Hub's."""
    responses: dict[int | str, dict[str, Any]] = {}
    for reason in reasons:
        status = STATUS_BY_REASON[reason]
        schema = {"schema": {"$ref": "#/components/schemas/HubError"}, "examples": {}}
        response = responses.setdefault(
            status,
            {
                "description": HTTPStatus(status).phrase,
                "content": {"application/json": schema},
            },
        )
        members = error_members(GatewayError(reason, "What to change."), "6f1c0d2b8a5e4c3f")
        response["content"]["application/json"]["examples"][reason.value] = {"value": dict(members)}
    return responses
