"""A FastAPI route whose handler takes the request as it came."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send


class DirectRoute(APIRoute):
    """Calls its endpoint with the request, without FastAPI's reading and solving of parameters.

    Bodies are parsed once, from bytes, by pydantic-core; what FastAPI would do besides costs more
    time than that. Its documentation of the route stays.

    Args:
        path: of the route.
        endpoint: takes the request, gives the response.
        options: FastAPI's.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]],
        **options: Any,
    ) -> None:
        super().__init__(path, endpoint, **options)
        self.app = _direct(endpoint)

    def for_head(self) -> "DirectRoute":
        """The same for HEAD: the answer of GET, whose body the server leaves out."""
        return DirectRoute(self.path, self.endpoint, methods=["HEAD"], include_in_schema=False)


def _direct(endpoint: Callable[[Request], Coroutine[Any, Any, Response]]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await endpoint(Request(scope, receive, send))
        await response(scope, receive, send)

    return app
