"""A FastAPI route whose handler takes the request as it came."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute


class DirectRoute(APIRoute):
    """Calls its endpoint with the request, without FastAPI's reading and solving of parameters.

    Bodies are parsed once, from bytes, by pydantic-core; what FastAPI would do besides costs more
    time than that. Its documentation of the route stays.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Take the endpoint as the handler."""
        handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handler
