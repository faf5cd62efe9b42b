"""`/api`: the classic demo's contract, open to pages of any origin."""

from typing import Final

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from gateway.admission import Admission
from gateway.client import InferenceClient
from gateway.columns import LabelledSpan, align, has_words
from gateway.deadline import Deadline
from gateway.errors import Reason
from gateway.metrics import GatewayMetrics
from gateway.middleware import request_id_of
from gateway.problems import documented
from gateway.routes.direct import DirectRoute
from gateway.routes.request import TIMEOUT_PARAMETER, read_json, timeout_s
from gateway.schemas import DEMO_BODY
from gateway.wire import only_entities
from protos.ner.v1 import entity_recognizer_pb2 as pb

PATH: Final = "/api"


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
    router = APIRouter(route_class=DirectRoute, tags=["demo"])

    @router.post(
        PATH,
        summary="Tag the words of a text, in columns",
        response_class=Response,
        responses={
            200: {
                "description": "Words over their tags.",
                "content": {
                    "application/json": {
                        "schema": {"$ref": "#/components/schemas/Columns"},
                        "example": {"input": "I love Paris ", "output": "O O    B-LOC "},
                    }
                },
            },
            **documented(
                Reason.MALFORMED_JSON,
                Reason.BODY_TOO_LARGE,
                Reason.BODIES_FULL,
                Reason.UNSUPPORTED_MEDIA_TYPE,
                Reason.FIELD_INVALID,
                Reason.TEXT_TOO_LONG,
                Reason.QUEUE_FULL,
                Reason.INTERNAL,
                Reason.INFERENCE_UNAVAILABLE,
                Reason.DRAINING,
                Reason.DEADLINE_EXCEEDED,
            ),
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"type": "string"}, "example": "I love Paris"}
                },
            },
            "parameters": [TIMEOUT_PARAMETER],
        },
    )
    async def tag(request: Request) -> Response:
        """Return two rows: the words without their punctuation, and under each its BIO tag."""
        wait_s = timeout_s(request, request_timeout_ms)
        text = await read_json(request, DEMO_BODY)
        deadline = Deadline.after(wait_s)
        model = await admission.admit(request.scope, "", [text], deadline)
        entities: list[LabelledSpan] = []
        if has_words(text):
            metrics.texts.inc()
            call = pb.RecognizeRequest(texts=[text], model=model)
            response = await client.recognize(call, deadline.left_s, request_id_of(request.scope))
            metrics.answered(response.model, response.version, 1)
            entities = [
                LabelledSpan(entity.start, entity.end, entity.label)
                for entity in only_entities(response)
            ]
        rows = align(text, entities)
        return Response(
            to_json({"input": rows.words, "output": rows.tags}), media_type="application/json"
        )

    return router
