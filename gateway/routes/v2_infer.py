"""`/v2/models/{name}/infer`: the entities of texts, over the Open Inference Protocol."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from gateway.admission import Admission
from gateway.client import InferenceClient
from gateway.content_coding import decoded
from gateway.deadline import Deadline
from gateway.errors import Reason
from gateway.metrics import GatewayMetrics
from gateway.middleware import hold_unpacked, note_patience, request_id_of
from gateway.open_inference import infer_answer, infer_call
from gateway.routes.direct import DirectRoute
from gateway.routes.examples import ENTITIES, MODEL, TEXT, VERSION, compact
from gateway.routes.request import timeout_s
from gateway.routes.v2 import PATH, names_in, path_parameters, refusals

_PATHS: Final = (
    f"{PATH}/models/{{name}}/infer",
    f"{PATH}/models/{{name}}/versions/{{version}}/infer",
)
# The protocol's header: the bytes of the JSON, where binary data follows it.
_HEADER_LENGTH: Final = "Inference-Header-Content-Length"

_REQUEST: Final[dict[str, Any]] = {
    "id": "42",
    "inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": [TEXT]}],
    "parameters": {"labels": "PER,LOC", "min_score": 0.5},
}
_ANSWER: Final[dict[str, Any]] = {
    "model_name": MODEL,
    "model_version": VERSION,
    "id": "42",
    "outputs": [
        {
            "name": "entities",
            "datatype": "BYTES",
            "shape": [1],
            "data": [compact([e for e in ENTITIES if e["label"] != "ORG"])],
        }
    ],
}
_REFUSALS: Final = refusals(
    Reason.MALFORMED_JSON,
    Reason.MODEL_NOT_FOUND,
    Reason.BODY_TOO_LARGE,
    Reason.BODIES_FULL,
    Reason.UNSUPPORTED_MEDIA_TYPE,
    Reason.FIELD_INVALID,
    Reason.QUEUE_FULL,
    Reason.INTERNAL,
    Reason.INFERENCE_UNAVAILABLE,
    Reason.DEADLINE_EXCEEDED,
)


def create_router(
    client: InferenceClient,
    metrics: GatewayMetrics,
    request_timeout_ms: int,
    max_body_bytes: int,
    admission: Admission,
) -> APIRouter:
    """Make the routes.

    Args:
        client: answers.
        metrics: counts the texts.
        request_timeout_ms: longest time for one answer.
        max_body_bytes: largest body, after decompression too.
        admission: decides whether texts may go to a model.
    """
    router = APIRouter(route_class=DirectRoute, tags=["open inference protocol"])

    async def infer(request: Request) -> Response:
        """Return a JSON array of entities for each text, with exact offsets into it.

        If one of several texts fails, its element is an object with its `error`. Tensors may be
        binary, both ways, after the JSON.
        """
        wait_s = timeout_s(request, request_timeout_ms)
        raw = await request.body()
        body = decoded(raw, request.headers.get("content-encoding"), max_body_bytes)
        if body is not raw:
            hold_unpacked(request.scope, len(body))
        call = infer_call(
            body,
            request.headers.get(_HEADER_LENGTH),
            request.path_params["name"],
            request.path_params.get("version", ""),
        )
        if call.timeout_s is not None:
            wait_s = min(wait_s, call.timeout_s)
            note_patience(request.scope, wait_s)
        deadline = Deadline.after(wait_s)
        call.request.model = await admission.admit(
            request.scope, call.request.model, call.request.texts, deadline
        )
        metrics.texts.inc(len(call.request.texts))
        response = await client.recognize(
            call.request, deadline.left_s, request_id_of(request.scope)
        )
        metrics.answered(response.model, response.version, len(call.request.texts))
        answer = infer_answer(call, response)
        if answer.binary is None:
            return Response(answer.json, media_type="application/json")
        return Response(
            answer.json + answer.binary,
            headers={_HEADER_LENGTH: str(len(answer.json))},
            media_type="application/octet-stream",
        )

    for path in _PATHS:
        router.add_api_route(
            path,
            infer,
            methods=["POST"],
            summary="Find the named entities of texts",
            response_class=Response,
            responses={
                200: {
                    "description": "The entities of each text.",
                    "content": {"application/json": {"example": _ANSWER}},
                },
                **_REFUSALS,
            },
            openapi_extra={
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {"$ref": "#/components/schemas/InferBody"},
                            "example": _REQUEST,
                        }
                    },
                },
                **path_parameters(*names_in(path)),
            },
        )
    return router
