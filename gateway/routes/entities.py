"""`/v1/entities`: the entities of one text or several."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from gateway.admission import Admission
from gateway.client import InferenceClient
from gateway.deadline import Deadline
from gateway.errors import GatewayError, Reason
from gateway.joined_calls import OVERLOADED, JoinedCalls
from gateway.metrics import GatewayMetrics
from gateway.middleware import request_id_of
from gateway.problems import documented
from gateway.routes.direct import DirectRoute
from gateway.routes.examples import EMPTY_TEXT, ENTITIES, MODEL, TEXT, VERSION
from gateway.routes.request import TIMEOUT_PARAMETER, read_json_bytes, timeout_s
from gateway.schemas import RECOGNIZE_BODY
from gateway.single_text import is_ordinary, single_answer, single_query
from gateway.wire import parse_json, recognize_answer, recognize_request

_MODEL: Final = {"model": MODEL, "version": VERSION}

_REQUEST_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/RecognizeBody"},
            "examples": {
                "one text": {"value": {"text": TEXT}},
                "several texts": {"value": {"texts": [TEXT, ""]}},
                "with options": {
                    "value": {
                        "text": TEXT,
                        "labels": ["PER"],
                        "min_score": 0.5,
                        "aggregation": "first",
                        "offset_unit": "utf16",
                        "timings": True,
                    }
                },
            },
        }
    },
}

_ANSWER: Final[dict[str, Any]] = {
    "description": "The entities, with exact offsets. For `texts`, one result or error per text.",
    "content": {
        "application/json": {
            "schema": {
                "anyOf": [
                    {"$ref": "#/components/schemas/TextAnswer"},
                    {"$ref": "#/components/schemas/TextsAnswer"},
                ]
            },
            "examples": {
                "one text": {"value": {**_MODEL, "entities": ENTITIES}},
                "several texts": {
                    "value": {
                        **_MODEL,
                        "results": [
                            {"entities": ENTITIES},
                            {"error": EMPTY_TEXT},
                        ],
                    }
                },
            },
        }
    },
}

_PROBLEMS: Final = documented(
    Reason.MALFORMED_JSON,
    Reason.MODEL_NOT_FOUND,
    Reason.VERSION_NOT_FOUND,
    Reason.BODY_TOO_LARGE,
    Reason.BODIES_FULL,
    Reason.UNSUPPORTED_MEDIA_TYPE,
    Reason.FIELD_INVALID,
    Reason.TEXT_EMPTY,
    Reason.TEXT_TOO_LONG,
    Reason.NO_TEXTS,
    Reason.TOO_MANY_TEXTS,
    Reason.LABEL_UNKNOWN,
    Reason.OPTION_INVALID,
    Reason.QUEUE_FULL,
    Reason.INTERNAL,
    Reason.INFERENCE_UNAVAILABLE,
    Reason.DRAINING,
    Reason.DEADLINE_EXCEEDED,
)


def create_router(
    client: InferenceClient,
    joined_calls: JoinedCalls,
    metrics: GatewayMetrics,
    request_timeout_ms: int,
    admission: Admission,
) -> APIRouter:
    """Make the routes.

    Args:
        client: answers several texts.
        joined_calls: answers single ones.
        metrics: counts the texts.
        request_timeout_ms: longest time for one answer.
        admission: decides whether texts may go to a model.
    """
    router = APIRouter(route_class=DirectRoute, tags=["entities"])

    @router.post(
        "/v1/entities",
        summary="Find the named entities of one text or several",
        response_class=Response,
        responses={200: _ANSWER, **_PROBLEMS},
        openapi_extra={"requestBody": _REQUEST_BODY, "parameters": [TIMEOUT_PARAMETER]},
    )
    async def recognize(request: Request) -> Response:
        """Return persons, organisations, places and others, with exact offsets into the text."""
        wait_s = timeout_s(request, request_timeout_ms)
        raw = await read_json_bytes(request)
        if joined_calls.refuses(raw):
            raise GatewayError(Reason.QUEUE_FULL, OVERLOADED)
        body = parse_json(RECOGNIZE_BODY, raw)
        texts = (body.text or "",) if body.texts is None else body.texts
        deadline = Deadline.after(wait_s)
        model = await admission.admit(request.scope, body.model or "", texts, deadline)
        named = body
        if model != (body.model or ""):
            named = body.model_copy(update={"model": model})
        query = single_query(named, ordinary=is_ordinary(body))
        if query is not None:
            metrics.texts.inc()
            result = await joined_calls.recognize(
                query, deadline.left_s, request_id_of(request.scope)
            )
            return Response(single_answer(result), media_type="application/json")
        call = recognize_request(named)
        metrics.texts.inc(len(call.texts))
        response = await client.recognize(call, deadline.left_s, request_id_of(request.scope))
        metrics.answered(response.model, response.version, len(call.texts))
        return Response(recognize_answer(named, response), media_type="application/json")

    return router
