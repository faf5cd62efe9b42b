"""`/v1/models`: the models that are served."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from gateway.callers import require_model, visible
from gateway.client import InferenceClient
from gateway.errors import Reason
from gateway.middleware import request_id_of
from gateway.problems import documented
from gateway.routes.direct import DirectRoute
from gateway.routes.examples import MODEL, VERSION
from gateway.routes.request import TIMEOUT_PARAMETER, timeout_s
from gateway.wire import model_answer, models_answer

_MODEL: Final = {
    "name": MODEL,
    "live_version": VERSION,
    "versions": [
        {
            "version": VERSION,
            "state": "READY",
            "detail": "",
            "live": True,
            "aliases": ["live"],
            "labels": ["PER", "ORG", "LOC", "MISC"],
            "max_window_tokens": 256,
            "min_score": 0.45,
            "label_consistency": 0.5,
        }
    ],
}
_NAME_PARAMETER: Final = {
    "name": "name",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
}
_FAULTS: Final = (
    Reason.FIELD_INVALID,
    Reason.INTERNAL,
    Reason.INFERENCE_UNAVAILABLE,
    Reason.DRAINING,
    Reason.DEADLINE_EXCEEDED,
)


def create_router(client: InferenceClient, request_timeout_ms: int) -> APIRouter:
    """Make the routes.

    Args:
        client: answers.
        request_timeout_ms: longest time for one answer.
    """
    router = APIRouter(route_class=DirectRoute, tags=["models"])

    @router.get(
        "/v1/models",
        summary="List every model and version",
        response_class=Response,
        responses={
            200: _answer("Models", {"default_model": MODEL, "models": [_MODEL]}),
            **documented(*_FAULTS),
        },
        openapi_extra={"parameters": [TIMEOUT_PARAMETER]},
    )
    async def list_models(request: Request) -> Response:
        """Return names, versions, the live one, labels and states; failed versions too.

        With keys, only the models of the key; no default model if it is another one.
        """
        deadline_s = timeout_s(request, request_timeout_ms)
        response = await client.list_models(deadline_s, request_id_of(request.scope))
        answer = models_answer(response)
        answer["models"] = [m for m in answer["models"] if visible(request.scope, m["name"])]
        if not visible(request.scope, answer["default_model"]):
            answer["default_model"] = ""
        return Response(to_json(answer), media_type="application/json")

    @router.get(
        "/v1/models/{name}",
        summary="Describe one model",
        response_class=Response,
        responses={
            200: _answer("Model", _MODEL),
            **documented(Reason.MODEL_NOT_FOUND, *_FAULTS),
        },
        openapi_extra={"parameters": [_NAME_PARAMETER, TIMEOUT_PARAMETER]},
    )
    async def get_model(request: Request) -> Response:
        """Return the versions of one model, the live one, their labels and states."""
        deadline_s = timeout_s(request, request_timeout_ms)
        name = request.path_params["name"]
        require_model(request.scope, name)
        response = await client.list_models(deadline_s, request_id_of(request.scope))
        model = model_answer(response, name)
        return Response(to_json(model), media_type="application/json")

    return router


def _answer(schema: str, example: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": "OK",
        "content": {
            "application/json": {
                "schema": {"$ref": f"#/components/schemas/{schema}"},
                "example": example,
            }
        },
    }
