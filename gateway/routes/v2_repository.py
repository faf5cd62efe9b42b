"""`/v2/repository`: the models of the repository, over the Open Inference Protocol."""

from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter

from gateway.callers import AdminGate, visible
from gateway.client import InferenceClient
from gateway.errors import GatewayError, Reason
from gateway.infer_schemas import CONTROL_BODY, INDEX_BODY
from gateway.middleware import request_id_of
from gateway.routes.direct import DirectRoute
from gateway.routes.request import timeout_s
from gateway.routes.v2 import FAULTS, PATH, json_answer, members, path_parameters, refusals
from gateway.wire import parse_json
from protos.inference import open_inference_pb2 as pb

Body = TypeVar("Body")


def create_router(client: InferenceClient, request_timeout_ms: int, admin: AdminGate) -> APIRouter:
    """Make the routes.

    Args:
        client: answers.
        request_timeout_ms: longest time for one answer.
        admin: stands before what changes the repository.
    """
    router = APIRouter(route_class=DirectRoute, tags=["open inference protocol"])

    @router.post(
        f"{PATH}/repository/index",
        summary="List every version of every model",
        response_class=Response,
        responses=refusals(Reason.MALFORMED_JSON, Reason.FIELD_INVALID, *FAULTS),
        openapi_extra={**_body_of("IndexBody"), **path_parameters()},
    )
    async def index(request: Request) -> Response:
        """Return names, versions and states; of versions that do not answer, the reason."""
        deadline_s = timeout_s(request, request_timeout_ms)
        body = await _read(request, INDEX_BODY)
        response = await client.open_inference(
            lambda stub: stub.RepositoryIndex,
            pb.RepositoryIndexRequest(ready=body.ready),
            deadline_s,
            request_id_of(request.scope),
        )
        shown = [model for model in response.models if visible(request.scope, model.name)]
        return json_answer([members(model) for model in shown])

    @router.post(f"{PATH}/repository/models/{{name}}/load", summary="Load a model", **_CONTROL)
    async def load(request: Request) -> Response:
        """Load a model, or load it anew; what answers goes on until the new one is ready."""
        name = request.path_params["name"]
        admin.check(request.scope, name)
        deadline_s = timeout_s(request, request_timeout_ms)
        if (await _read(request, CONTROL_BODY)).parameters:
            raise GatewayError(
                Reason.OPTION_INVALID,
                "send no parameters: what a model is, its folder in the repository says",
            )
        await client.open_inference(
            lambda stub: stub.RepositoryModelLoad,
            pb.RepositoryModelLoadRequest(model_name=name),
            deadline_s,
            request_id_of(request.scope),
        )
        return Response()

    @router.post(f"{PATH}/repository/models/{{name}}/unload", summary="Unload a model", **_CONTROL)
    async def unload(request: Request) -> Response:
        """Take a model out of service; calls that it has begun are answered."""
        name = request.path_params["name"]
        admin.check(request.scope, name)
        deadline_s = timeout_s(request, request_timeout_ms)
        # Triton's client says whether dependents go too: no model depends on another here.
        await _read(request, CONTROL_BODY)
        await client.open_inference(
            lambda stub: stub.RepositoryModelUnload,
            pb.RepositoryModelUnloadRequest(model_name=name),
            deadline_s,
            request_id_of(request.scope),
        )
        return Response()

    return router


async def _read(request: Request, adapter: TypeAdapter[Body]) -> Body:
    """Read a body that may be left out; Triton's client names no content type."""
    return parse_json(adapter, await request.body() or b"{}")


def _body_of(schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"requestBody": {"required": False, "content": content}}


# What the documentation of both calls that change the repository says.
_CONTROL: dict[str, Any] = {
    "response_class": Response,
    "responses": refusals(
        Reason.MALFORMED_JSON,
        Reason.FIELD_INVALID,
        Reason.MODEL_CONTROL_OFF,
        Reason.FORBIDDEN,
        Reason.MODEL_NOT_FOUND,
        Reason.MODEL_INVALID,
        *FAULTS,
    ),
    "openapi_extra": {**_body_of("ControlBody"), **path_parameters("name")},
}
