"""The layers around the router, in plain ASGI.

Plain, because Starlette's BaseHTTPMiddleware hides from the router that the caller has gone away.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable
from time import perf_counter
from typing import Final

from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import STATUS_BY_REASON, GatewayError, Reason
from gateway.metrics import UNMATCHED, GatewayMetrics
from telemetry import request_id as request_ids
from telemetry.logs import get_logger

_LOG: Final = get_logger("gateway.access")

_REQUEST_ID: Final = "gateway.request_id"
_REASON: Final = "gateway.reason"
_KEY: Final = "gateway.key"
_PATIENCE_S: Final = "gateway.patience"
_HOLD: Final = "gateway.hold"
_REQUEST_ID_HEADER: Final = request_ids.HEADER.encode("ascii")

# nginx's status for a caller that went away before the answer; it is never sent, only counted.
_CALLER_GONE: Final = 499
_DEADLINE_EXCEEDED: Final = STATUS_BY_REASON[Reason.DEADLINE_EXCEEDED]
# The objective of latency (docs/operations.md): whoever waits for less gives up before an answer is
# due, which is no failure to answer.
_DUE_S: Final = 0.5
# Statuses from here on are failures of the gateway's side.
_FAULT: Final = 500

# What a connection reads ahead of its request anyway (uvicorn's `HIGH_WATER_LIMIT`).
_SMALL_BYTES: Final = 64 * 1024

# Asked every few seconds by machines: of interest only when something else is wrong.
_QUIET_ROUTES: Final = frozenset(
    {"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"}
)


def request_id_of(scope: Scope) -> str:
    """The id of the request of a scope, as `RequestIdLayer` chose it."""
    request_id: str = scope[_REQUEST_ID]
    return request_id


def route_of(scope: Scope) -> str:
    """The path of the route that answered, as it is declared; never one that a caller invented."""
    if "route" in scope:
        return str(scope["route"].path)
    # Those of the documentation are Starlette's own, which leave only their endpoint there. They
    # have no parameters, so that the path asked for is the one declared.
    return str(scope["path"]) if "endpoint" in scope else UNMATCHED


def _find_route(scope: Scope) -> None:
    """Look for the route of a request that failed before the router saw it."""
    for route in scope["app"].routes:
        match, found = route.matches(scope)
        if match is Match.FULL:
            scope.update(found)
            return


def is_quiet(path: str) -> bool:
    """Whether only machines ask for this path, again and again."""
    return path in _QUIET_ROUTES


def note_reason(scope: Scope, reason: Reason) -> None:
    """Leave the reason of a failure for the access log."""
    scope[_REASON] = reason


def note_patience(scope: Scope, timeout_s: float) -> None:
    """Leave for the metrics how long the caller itself is willing to wait."""
    scope[_PATIENCE_S] = timeout_s


def hold_unpacked(scope: Scope, body_bytes: int) -> None:
    """Count what a compressed body became among the bytes of all bodies, until its request ends.

    Raises:
        GatewayError: BODIES_FULL, as `BodyLimitLayer` raises it.
    """
    scope[_HOLD](body_bytes)


def note_key(scope: Scope, key_id: str) -> None:
    """Leave the id of the caller's API key for the access log; the key itself is never kept."""
    if key_id:
        scope[_KEY] = key_id


class HttpLayer(ABC):
    """One layer around the router.

    Args:
        app: the next layer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app: Final = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve an HTTP request; pass anything else on."""
        serve = self._serve if scope["type"] == "http" else self.app
        return serve(scope, receive, send)

    @abstractmethod
    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an HTTP request."""


class RequestIdLayer(HttpLayer):
    """Gives every request an id, the caller's if it is safe, and every answer the same one."""

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = _header(scope, _REQUEST_ID_HEADER)
        request_id = request_ids.accept(None if asked is None else asked.decode("latin-1"))
        scope[_REQUEST_ID] = request_id
        header = (_REQUEST_ID_HEADER, request_id.encode("ascii"))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], header]
            await send(message)

        await self.app(scope, receive, send_with_id)


class AccessLayer(HttpLayer):
    """Records every request once, in metrics and log; paths and texts stay out of both.

    But not those that their connection refuses under overload: it counts them itself.
    """

    def __init__(self, app: ASGIApp, metrics: GatewayMetrics) -> None:
        super().__init__(app)
        self._metrics: Final = metrics

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = _CALLER_GONE
        started_s = perf_counter()

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._metrics.in_flight += 1
        try:
            await self.app(scope, receive, send_and_note)
        finally:
            duration_s = perf_counter() - started_s
            self._metrics.in_flight -= 1
            self._record(scope, status, duration_s)

    def _record(self, scope: Scope, status: int, duration_s: float) -> None:
        if status >= _FAULT and "endpoint" not in scope:
            # Objectives count by route. Not so who is refused: strangers would thin out failures.
            _find_route(scope)
        route = route_of(scope)
        gave_up = status == _DEADLINE_EXCEEDED and scope.get(_PATIENCE_S, _DUE_S) < _DUE_S
        counted = _CALLER_GONE if gave_up else status
        self._metrics.record(route, scope["method"], counted, duration_s)
        if _REASON in scope:
            self._metrics.failed(scope[_REASON])
        log = _LOG.debug if route in _QUIET_ROUTES else _LOG.info
        log(
            "request",
            request_id=request_id_of(scope),
            route=route,
            method=scope["method"],
            status=status,
            duration_ms=round(duration_s * 1e3, 3),
            **({"reason": scope[_REASON]} if _REASON in scope else {}),
            **({"key": scope[_KEY]} if _KEY in scope else {}),
        )


class BodyLimitLayer(HttpLayer):
    """Refuses a body over the limit before it is parsed: by its length, or as it streams in.

    And one that makes all bodies together too many bytes to hold, unless it is a small one: those
    lie in the buffers of their connections, whose number is limited.

    Args:
        app: the next layer.
        max_body_bytes: largest body.
        max_held_bytes: of the bodies of all requests that are under way.
        unlimited: paths whose bodies are read in parts and never held.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_body_bytes: int,
        max_held_bytes: int,
        unlimited: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(app)
        self._max_body_bytes: Final = max_body_bytes
        self._max_held_bytes: Final = max_held_bytes
        self._unlimited: Final = unlimited
        self._held_bytes = 0

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in self._unlimited:
            await self.app(scope, receive, send)
            return
        length = _header(scope, b"content-length")
        if length is not None and length.isdigit():
            # The server holds the caller to the length it announced.
            announced_bytes = _whole_number(length)
            self._check_size(announced_bytes)
            self._check_room(announced_bytes)
            if announced_bytes <= _SMALL_BYTES and _header(scope, b"content-encoding") is None:
                await self.app(scope, receive, send)
                return
        await self._serve_counted(scope, receive, send)

    async def _serve_counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        body_bytes = held_bytes = 0

        def hold(more_bytes: int) -> None:
            nonlocal held_bytes
            held_bytes += more_bytes
            self._held_bytes += more_bytes
            self._check_room(held_bytes)

        async def receive_counted() -> Message:
            nonlocal body_bytes
            message = await receive()
            # Whoever waits for the caller to go must hear of it, however full it is here.
            if received_bytes := len(message.get("body", b"")):
                body_bytes += received_bytes
                self._check_size(body_bytes)
                hold(received_bytes)
            return message

        scope[_HOLD] = hold
        try:
            await self.app(scope, receive_counted, send)
        finally:
            self._held_bytes -= held_bytes

    def _check_size(self, body_bytes: int) -> None:
        if body_bytes > self._max_body_bytes:
            raise GatewayError(
                Reason.BODY_TOO_LARGE, f"the body is larger than {self._max_body_bytes} bytes"
            )

    def _check_room(self, held_bytes: int) -> None:
        if held_bytes > _SMALL_BYTES and self._held_bytes > self._max_held_bytes:
            raise GatewayError(
                Reason.BODIES_FULL,
                "too many large bodies at one time: try again in a second, or send smaller ones",
            )


def _whole_number(digits: bytes) -> int:
    # The parser takes any number of zeros before a length of at most 64 bits, int() 4,300 digits.
    return int(digits.lstrip(b"0") or b"0")


def _header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of that name, which must be in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None
