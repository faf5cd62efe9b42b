"""`/healthz`, `/readyz` and `/metrics`: what the operator's machines ask."""

from typing import Final

from fastapi import APIRouter, Request, Response

from gateway.callers import require_every_model
from gateway.client import InferenceClient
from gateway.errors import GatewayError, Reason
from gateway.metrics import GatewayMetrics
from gateway.problems import documented
from gateway.routes.direct import DirectRoute
from telemetry.exposition import render

# Kubernetes gives a probe one second by default.
_READY_TIMEOUT_S: Final = 1.0

_OK: Final = b'{"status":"ok"}'


def create_router(client: InferenceClient, metrics: GatewayMetrics) -> APIRouter:
    """Make the routes.

    Args:
        client: asked whether the inference service is ready.
        metrics: what `/metrics` writes.
    """
    router = APIRouter(route_class=DirectRoute, tags=["health"])

    @router.get("/healthz", summary="Is the gateway alive?", response_class=Response)
    async def alive(_request: Request) -> Response:
        """Answer 200 as long as the process runs."""
        return Response(_OK, media_type="application/json")

    @router.get(
        "/readyz",
        summary="Can texts be answered?",
        response_class=Response,
        responses=documented(Reason.INFERENCE_UNAVAILABLE),
    )
    async def ready(_request: Request) -> Response:
        """Answer 200 only if the inference service says that it serves."""
        if not await client.ready(_READY_TIMEOUT_S):
            raise GatewayError(Reason.INFERENCE_UNAVAILABLE, "no inference server is ready")
        return Response(_OK, media_type="application/json")

    @router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
    async def expose(request: Request) -> Response:
        """Write every metric in the format that the scraper asks for."""
        require_every_model(request.scope)
        exposition = render(metrics.registry, request.headers.get("accept"))
        return Response(exposition.body, headers={"Content-Type": exposition.content_type})

    return router
