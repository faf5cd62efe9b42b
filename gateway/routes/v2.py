"""`/v2`: health and metadata of the Open Inference Protocol."""

from collections.abc import Iterable
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from pydantic_core import to_json

from gateway.callers import require_model
from gateway.client import InferenceClient
from gateway.errors import STATUS_BY_REASON, GatewayError, Reason
from gateway.middleware import request_id_of
from gateway.routes.direct import DirectRoute
from gateway.routes.request import TIMEOUT_PARAMETER, timeout_s
from protos.inference import open_inference_pb2 as pb

PATH: Final = "/v2"

# Kubernetes gives a probe one second by default.
_READY_TIMEOUT_S: Final = 1.0
FAULTS: Final = (
    Reason.INTERNAL,
    Reason.INFERENCE_UNAVAILABLE,
    Reason.DRAINING,
    Reason.DEADLINE_EXCEEDED,
)
_MODEL_PATHS: Final = (f"{PATH}/models/{{name}}", f"{PATH}/models/{{name}}/versions/{{version}}")


def create_router(client: InferenceClient, request_timeout_ms: int) -> APIRouter:
    """Make the routes.

    Args:
        client: answers.
        request_timeout_ms: longest time for one answer.
    """
    router = APIRouter(route_class=DirectRoute, tags=["open inference protocol"])
    _add_health(router, client)
    _add_metadata(router, client, request_timeout_ms)
    return router


def refusals(*reasons: Reason) -> dict[int | str, dict[str, Any]]:
    """Describe the errors that a route may answer with, for OpenAPI."""
    return {
        STATUS_BY_REASON[reason]: {
            "description": "An error, in the protocol's own form.",
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/InferFailure"}}
            },
        }
        for reason in reasons
    }


def path_parameters(*names: str) -> dict[str, Any]:
    """Describe the parameters in a path, and the one in the header, for OpenAPI."""
    schema = {"type": "string"}
    paths = [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]
    return {"parameters": [*paths, TIMEOUT_PARAMETER]}


def names_in(path: str) -> tuple[str, ...]:
    """The names of the parameters in a path."""
    return ("name", "version") if "{version}" in path else ("name",)


def _add_health(router: APIRouter, client: InferenceClient) -> None:
    @router.get(f"{PATH}/health/live", summary="Is the gateway alive?", response_class=Response)
    async def live(_request: Request) -> Response:
        """Answer 200 as long as the process runs."""
        return json_answer({"live": True})

    @router.get(
        f"{PATH}/health/ready",
        summary="Can texts be answered?",
        response_class=Response,
        responses=refusals(Reason.INFERENCE_UNAVAILABLE),
    )
    async def ready(_request: Request) -> Response:
        """Answer 200 only if the inference service says that it serves."""
        if not await client.ready(_READY_TIMEOUT_S):
            raise GatewayError(Reason.INFERENCE_UNAVAILABLE, "no inference server is ready")
        return json_answer({"ready": True})


def _add_metadata(router: APIRouter, client: InferenceClient, request_timeout_ms: int) -> None:
    @router.get(
        PATH,
        summary="Describe the server",
        response_class=Response,
        responses=refusals(Reason.FIELD_INVALID, *FAULTS),
        openapi_extra=path_parameters(),
    )
    async def describe_server(request: Request) -> Response:
        """Return the name, the version and the extensions of the protocol."""
        response = await client.open_inference(
            lambda stub: stub.ServerMetadata,
            pb.ServerMetadataRequest(),
            timeout_s(request, request_timeout_ms),
            request_id_of(request.scope),
        )
        return json_answer(members(response))

    async def describe_model(request: Request) -> Response:
        """Return the versions of a model that answer, its input and its output."""
        require_model(request.scope, request.path_params["name"])
        response = await client.open_inference(
            lambda stub: stub.ModelMetadata,
            pb.ModelMetadataRequest(**request.path_params),
            timeout_s(request, request_timeout_ms),
            request_id_of(request.scope),
        )
        return json_answer(_model_members(response))

    async def model_ready(request: Request) -> Response:
        """Answer 200 only if the model answers."""
        require_model(request.scope, request.path_params["name"])
        response = await client.open_inference(
            lambda stub: stub.ModelReady,
            pb.ModelReadyRequest(**request.path_params),
            timeout_s(request, request_timeout_ms),
            request_id_of(request.scope),
        )
        if not response.ready:
            raise GatewayError(
                Reason.MODEL_NOT_FOUND,
                f"no such model or version is ready: POST {PATH}/repository/index lists them all",
            )
        return json_answer({"name": request.path_params["name"], "ready": True})

    for path in _MODEL_PATHS:
        described: dict[str, Any] = {
            "methods": ["GET"],
            "response_class": Response,
            "responses": refusals(Reason.MODEL_NOT_FOUND, Reason.FIELD_INVALID, *FAULTS),
            "openapi_extra": path_parameters(*names_in(path)),
        }
        router.add_api_route(path, describe_model, summary="Describe a model", **described)
        router.add_api_route(
            f"{path}/ready", model_ready, summary="Does the model answer?", **described
        )


def members(message: Message) -> dict[str, Any]:
    """The fields of a message under their names in the .proto, empty ones included."""
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def json_answer(members: object) -> Response:
    """Answer with JSON."""
    return Response(to_json(members), media_type="application/json")


def _model_members(response: pb.ModelMetadataResponse) -> dict[str, Any]:
    return {
        "name": response.name,
        "versions": list(response.versions),
        "platform": response.platform,
        "inputs": _tensors(response.inputs),
        "outputs": _tensors(response.outputs),
    }


def _tensors(found: Iterable[pb.ModelMetadataResponse.TensorMetadata]) -> list[dict[str, Any]]:
    # By hand: protobuf's JSON writes an int64 as a string.
    return [
        {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        for tensor in found
    ]
