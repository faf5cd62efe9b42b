"""`/v1/entities:stream`: lines in, answers out, at any length."""

from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.types import Receive, Scope, Send

from gateway.admission import Admission
from gateway.client import InferenceClient
from gateway.deadline import Deadline
from gateway.drain import Drain
from gateway.errors import GatewayError, Reason
from gateway.exchange import MEDIA_TYPE, Exchange, StreamLimits
from gateway.metrics import GatewayMetrics
from gateway.problems import documented
from gateway.routes.direct import DirectRoute
from gateway.routes.examples import EMPTY_TEXT, ENTITIES, MODEL, TEXT, VERSION, compact
from gateway.schemas import STREAM_OPTIONS, StreamOptions
from gateway.stream_wire import stream_start
from gateway.wire import parse_query

PATH: Final = "/v1/entities:stream"

# Names under which lines of JSON go about; none is registered.
_MEDIA_TYPES: Final = frozenset(
    {MEDIA_TYPE, "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)
_LINES: Final = "".join(
    compact(line) + "\n" for line in ({"id": "a", "text": TEXT}, {"id": "b", "text": ""})
)
_ANSWERS: Final = "".join(
    compact(line) + "\n"
    for line in (
        {"id": "a", "line": 1, "model": MODEL, "version": VERSION, "entities": ENTITIES},
        {"id": "b", "line": 2, "error": EMPTY_TEXT},
    )
)
_REQUEST_BODY: Final[dict[str, Any]] = {
    "required": False,  # no line at all is a stream as well
    "description": "One JSON object a line. Any number of lines; the largest is limited.",
    "content": {
        MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/StreamLine"}, "example": _LINES}
    },
}
_ANSWER: Final[dict[str, Any]] = {
    "description": "One JSON object a line, in the order of the lines that were sent.",
    "content": {
        MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/StreamAnswer"}, "example": _ANSWERS}
    },
}
_PROBLEMS: Final = documented(
    Reason.MODEL_NOT_FOUND,
    Reason.VERSION_NOT_FOUND,
    Reason.UNSUPPORTED_MEDIA_TYPE,
    Reason.FIELD_INVALID,
    Reason.LABEL_UNKNOWN,
    Reason.INTERNAL,
    Reason.INFERENCE_UNAVAILABLE,
    Reason.DRAINING,
    Reason.DEADLINE_EXCEEDED,
)


def create_router(
    client: InferenceClient,
    metrics: GatewayMetrics,
    limits: StreamLimits,
    admission: Admission,
    drain: Drain,
) -> APIRouter:
    """Make the routes.

    Args:
        client: answers.
        metrics: counts the lines.
        limits: of a stream.
        admission: decides whether texts may go to a model.
        drain: ends the streams.
    """
    router = APIRouter(route_class=DirectRoute, tags=["entities"])

    @router.post(
        PATH,
        summary="Find the named entities of any number of texts",
        response_class=Response,
        responses={200: _ANSWER, **_PROBLEMS},
        openapi_extra={"requestBody": _REQUEST_BODY, "parameters": _parameters()},
    )
    async def stream(request: Request) -> Response:
        """Answer line after line, in order, while lines are still being sent.

        A line that fails has an error and does not end the stream. Read while you send: the server
        holds few lines, and takes no more while you do not read. An error line without `line` says
        that the stream ended there.
        """
        content_type = request.headers.get("content-type")
        if content_type is not None and _essence(content_type) not in _MEDIA_TYPES:
            raise GatewayError(
                Reason.UNSUPPORTED_MEDIA_TYPE, f"send lines of JSON as content type {MEDIA_TYPE}"
            )
        query = request.query_params
        asked: dict[str, object] = {name: query[name] for name in query if name != "labels"}
        if "labels" in query:
            asked["labels"] = query.getlist("labels")
        start = stream_start(parse_query(STREAM_OPTIONS, asked))
        deadline = Deadline.after(limits.open_timeout_s)
        start.model = await admission.admit(request.scope, start.model, (), deadline)
        charge = partial(admission.charge, request.scope) if admission.meters else None
        exchange = Exchange(client, metrics, limits, start, deadline, charge)
        return _ExchangeResponse(exchange, drain)

    return router


class _ExchangeResponse(Response):
    """Lets an exchange answer the request that the router has dispatched."""

    def __init__(self, exchange: Exchange, drain: Drain) -> None:
        self._exchange: Final = exchange
        self._drain: Final = drain
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._drain.stopping(self._exchange.stop):
            await self._exchange(scope, receive, send)


def _essence(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _parameters() -> list[dict[str, Any]]:
    properties = StreamOptions.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in properties.items()
    ]
