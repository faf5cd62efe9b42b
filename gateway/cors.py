"""The layer that lets pages of other origins read answers (CORS), and answers browsers that ask."""

from collections.abc import Iterable
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.middleware import HttpLayer

_EXPOSED: Final = (
    b"access-control-expose-headers",
    b"retry-after, x-request-id, ratelimit, ratelimit-policy",
)
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": (
        "authorization, content-type, x-api-key, x-request-id, x-request-timeout-ms"
    ),
    # The longest that Chromium keeps a preflight's answer.
    "Access-Control-Max-Age": "7200",
}
_ANY: Final = "*"


class CorsLayer(HttpLayer):
    """Says which origins' pages may read an answer, problems included.

    Keys travel in headers that a page must set itself, never in cookies, so no origin is ever told
    to send credentials along, and `*` is not weaker than a name.

    Args:
        app: the next layer.
        origins: the origins; `*` is any.
        paths: where they count; none: everywhere.
    """

    def __init__(self, app: ASGIApp, origins: Iterable[str], paths: Iterable[str] = ()) -> None:
        super().__init__(app)
        self._origins: Final = frozenset(origins)
        self._paths: Final = frozenset(paths)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._paths and scope["path"] not in self._paths:
            await self.app(scope, receive, send)
            return
        headers = self._headers(scope)

        async def send_open(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        if _is_preflight(scope):
            # A browser sends no key with it, so it is answered before any is asked for.
            await Response(status_code=204, headers=_PREFLIGHT)(scope, receive, send_open)
        else:
            await self.app(scope, receive, send_open)

    def _headers(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        if _ANY in self._origins:
            return [(b"access-control-allow-origin", b"*"), _EXPOSED]
        vary = (b"vary", b"origin")
        origin = _value(scope, b"origin")
        if origin is None or origin.decode("latin-1") not in self._origins:
            return [vary]
        return [(b"access-control-allow-origin", origin), _EXPOSED, vary]


def _is_preflight(scope: Scope) -> bool:
    return (
        scope["method"] == "OPTIONS"
        and _value(scope, b"origin") is not None
        and _value(scope, b"access-control-request-method") is not None
    )


def _value(scope: Scope, name: bytes) -> bytes | None:
    return next((value for key, value in scope["headers"] if key == name), None)
