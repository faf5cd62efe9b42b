"""The composition of the gateway."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from credentials.certificates import ClientTlsFiles
from gateway import VERSION
from gateway.channel import ChannelFiles
from gateway.client import InferenceClient
from gateway.coalescing import JoinLimits
from gateway.cors import CorsLayer
from gateway.disconnection import DisconnectLayer
from gateway.door import Door, Layer
from gateway.drain import Drain
from gateway.exchange import StreamLimits
from gateway.hub import error_members as hub_members
from gateway.infer_schemas import INFER_DOCUMENTED
from gateway.joined_calls import JoinedCalls
from gateway.joined_spans import JoinedSpans
from gateway.load_shedding import ShedLimits
from gateway.metrics import GatewayMetrics
from gateway.middleware import AccessLayer, BodyLimitLayer, RequestIdLayer
from gateway.open_inference import error_members
from gateway.openapi import describe
from gateway.problems import ProblemLayer
from gateway.routes import demo, entities, health, hub, models, stream, v2, v2_infer, v2_repository
from gateway.routes.direct import DirectRoute
from gateway.routes.request import TIMEOUT_HEADER
from gateway.schemas import DOCUMENTED
from gateway.settings import GatewaySettings
from gateway.shedding_connection import Refuser
from gateway.tracing import TraceLayer, call_spans
from telemetry.tracing import Tracer

# Single texts that may always be under way: what keeps the inference service on two cores busy.
LEAST_UNDER_WAY = 32
# A text that is longer than some ten sentences goes alone: its neighbours would wait for it.
_JOINED_CHARS: Final = 1_000
# About what a model run takes: who waits for that long has lost nothing to an idle server.
_JOINED_HOLD_S: Final = 0.005


def create_app(
    settings: GatewaySettings,
    make_client: Callable[[str, int], InferenceClient] | None = None,
    metrics: GatewayMetrics | None = None,
    tracer: Tracer | None = None,
    drain: Drain | None = None,
) -> "LayeredApp":
    """Build the gateway; its connections open and close with the app's lifespan.

    Args:
        settings: of the gateway.
        make_client: makes the connection, from a target and the bytes of the largest message; None
            makes one that is secured as the settings say.
        metrics: of the process; None makes them.
        tracer: makes spans of requests and calls, and is closed by its owner; None: there are none.
        drain: begins when the gateway is about to stop; None: it never does.

    Raises:
        CredentialInvalid: a file of keys or certificates cannot be used.
    """
    metrics = metrics or GatewayMetrics()
    make_client = make_client or partial(
        InferenceClient,
        files=_channel_files(settings),
        interceptors=() if tracer is None else call_spans(tracer),
    )
    client = make_client(settings.inference_target, settings.max_message_bytes)
    door = Door(settings, client)
    joined_calls = JoinedCalls(
        client,
        metrics,
        JoinLimits(
            calls=settings.joined_calls,
            texts=settings.joined_texts,
            chars=_JOINED_CHARS,
            hold_s=_JOINED_HOLD_S,
        ),
        None if tracer is None else JoinedSpans(tracer),
        _shed_limits(settings),
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await client.open()
        try:
            yield
        finally:
            await joined_calls.aclose()
            await client.aclose()
            await door.aclose()

    return LayeredApp(
        layers=(  # the outermost first
            RequestIdLayer,
            *(() if tracer is None else (partial(TraceLayer, tracer=tracer),)),
            partial(AccessLayer, metrics=metrics),
            _cors(settings),
            *door.outer_layers,
            partial(ProblemLayer, dialects={v2.PATH: error_members, hub.PATH_PREFIX: hub_members}),
            *door.layers,
            partial(
                BodyLimitLayer,
                max_body_bytes=settings.max_body_bytes,
                max_held_bytes=settings.max_held_body_bytes,
                unlimited=frozenset({stream.PATH}),
            ),
            DisconnectLayer,
        ),
        # Not include_router: an included router is matched again for every request.
        routes=_routes(settings, client, joined_calls, metrics, door, drain or Drain()),
        # What counts callers, knows them or traces their requests must see those that are refused.
        refuser=None if door.layers or tracer is not None else joined_calls,
        describe=partial(
            describe,
            settings=settings,
            timeout_header=TIMEOUT_HEADER,
            dialects={v2.PATH: v2.refusals, hub.PATH_PREFIX: hub.refusals},
        ),
        title="Nerve",
        version=VERSION,
        summary="Named-entity recognition: text in, entities with exact offsets out.",
        lifespan=lifespan,
        # A path with a slash too many is another path: 404, not a redirect that loses the body.
        redirect_slashes=False,
        redoc_url=None,
        # FastAPI would look into the environment on every request to see whether it is wanted.
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
    )


def _routes(
    settings: GatewaySettings,
    client: InferenceClient,
    joined_calls: JoinedCalls,
    metrics: GatewayMetrics,
    door: Door,
    drain: Drain,
) -> list[BaseRoute]:
    timeout_ms, admission = settings.request_timeout_ms, door.admission
    routers = (
        entities.create_router(client, joined_calls, metrics, timeout_ms, admission),
        models.create_router(client, timeout_ms),
        stream.create_router(client, metrics, _stream_limits(settings), admission, drain),
        hub.create_router(client, metrics, timeout_ms, admission),
        v2.create_router(client, timeout_ms),
        v2_infer.create_router(client, metrics, timeout_ms, settings.max_body_bytes, admission),
        v2_repository.create_router(client, timeout_ms, door.admin),
        demo.create_router(client, metrics, timeout_ms, admission),
        health.create_router(client, metrics),
    )
    routes = [route for router in routers for route in router.routes]
    direct = [route for route in routes if isinstance(route, DirectRoute)]
    # HEAD is answered wherever GET is (RFC 9110, 9.1); FastAPI leaves it out.
    return [*routes, *(route.for_head() for route in direct if "GET" in (route.methods or ()))]


def _shed_limits(settings: GatewaySettings) -> ShedLimits | None:
    if not settings.crowd_ms:
        return None
    # Half of the joined calls, and each of them full: with less the inference service would wait
    # for the gateway, with more everybody waits for longer and nobody is answered sooner.
    texts = settings.joined_calls // 2 * settings.joined_texts
    return ShedLimits(settings.crowd_ms / 1e3, max(LEAST_UNDER_WAY, texts))


def _stream_limits(settings: GatewaySettings) -> StreamLimits:
    return StreamLimits(
        max_line_bytes=settings.stream_max_line_bytes,
        pending_items=settings.stream_pending_items,
        idle_timeout_s=settings.stream_idle_timeout_s,
        open_timeout_s=settings.request_timeout_ms / 1e3,
    )


def _cors(settings: GatewaySettings) -> Layer:
    """The classic demo is open to pages of every origin unless the settings name some."""
    if settings.cors_origins:
        return partial(CorsLayer, origins=settings.cors_origins)
    return partial(CorsLayer, origins=("*",), paths=(demo.PATH,))


def _channel_files(settings: GatewaySettings) -> ChannelFiles:
    authority = settings.inference_ca_file
    tls = None
    if authority is not None:
        tls = ClientTlsFiles(authority, settings.inference_cert_file, settings.inference_key_file)
    return ChannelFiles(tls, settings.inference_server_name, settings.inference_token_file)


class LayeredApp(FastAPI):
    """FastAPI with these layers around its router and no others.

    FastAPI's own layers catch errors and keep parameters alive: the problem layer does the first,
    and direct routes have no need of the second.

    Args:
        layers: the outermost first.
        refuser: decides under overload, so that connections need not ask the app; None: they must.
        describe: adds to the OpenAPI document; None adds nothing.
        options: FastAPI's.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        refuser: Refuser | None = None,
        describe: Callable[[dict[str, Any]], None] | None = None,
        **options: Any,
    ) -> None:
        self._layers: Final = tuple(layers)
        self.refuser: Final = refuser
        self._describe: Final = describe
        super().__init__(**options)

    def build_middleware_stack(self) -> ASGIApp:
        """Put the layers around the router."""
        app: ASGIApp = self.router
        for layer in reversed(self._layers):
            app = layer(app)
        return app

    def openapi(self) -> dict[str, Any]:
        """Describe the interface, with the schemas of bodies that direct routes read themselves."""
        if self.openapi_schema is None:
            _, schemas = models_json_schema(
                [(model, "validation") for model in (*DOCUMENTED, *INFER_DOCUMENTED)],
                ref_template="#/components/schemas/{model}",
            )
            document = super().openapi()
            document.setdefault("components", {}).setdefault("schemas", {}).update(schemas["$defs"])
            if self._describe is not None:
                self._describe(document)
        return super().openapi()
