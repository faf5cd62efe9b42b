"""Problems: failed requests answered as `application/problem+json` (RFC 9457)."""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.callers import told
from gateway.errors import INTERNAL_DETAIL, STATUS_BY_REASON, GatewayError, Reason
from gateway.middleware import HttpLayer, note_reason, request_id_of
from telemetry.logs import get_logger

_LOG: Final = get_logger("gateway.problems")

_NOT_ALLOWED: Final = HTTPStatus.METHOD_NOT_ALLOWED
MEDIA_TYPE: Final = "application/problem+json"

# The JSON members of an error, for a request id.
ErrorMembers = Callable[[GatewayError, str], Mapping[str, Any]]


class ProblemLayer(HttpLayer):
    """Answers a request that raised with the problem of its error.

    An exception that is not expected is a fault: it is logged with its type and place, and the
    caller learns no more than the request id to quote.

    Args:
        app: the next layer.
        dialects: how errors are written under paths that begin so, where not as problems.
    """

    def __init__(self, app: ASGIApp, dialects: Mapping[str, ErrorMembers] | None = None) -> None:
        super().__init__(app)
        self._dialects: Final = dialects or {}

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        async def fail(error: GatewayError, allow: str | None = None) -> None:
            note_reason(scope, error.reason)
            # Half an answer cannot be taken back; raising makes the server cut the connection.
            if started:
                raise error
            request_id = request_id_of(scope)
            members = self._dialect(scope["path"])
            if members is None:
                answer = problem(error, request_id, allow)
            else:
                answer = _response(error, members(error, request_id), "application/json", allow)
            await answer(scope, receive, send)

        try:
            await self.app(scope, receive, send_and_note)
        except GatewayError as error:
            await fail(told(scope, error))
        except HTTPException as error:
            allow = _allowed(scope) if error.status_code == _NOT_ALLOWED else None
            await fail(_router_error(error.status_code, allow), allow)
        except asyncio.CancelledError:
            # Callers that went away are dealt with further in: this is the end of the drain time.
            await fail(GatewayError(Reason.DRAINING, "the server is shutting down: try again"))
            raise
        except Exception:  # noqa: BLE001 - logged here, answered as a problem
            _LOG.exception("request_failed", request_id=request_id_of(scope))
            await fail(GatewayError(Reason.INTERNAL, INTERNAL_DETAIL))

    def _dialect(self, path: str) -> ErrorMembers | None:
        for prefix, members in self._dialects.items():
            if path.startswith(prefix):
                return members
        return None


def problem(error: GatewayError, request_id: str, allow: str | None = None) -> Response:
    """Write the answer to a request that failed.

    Args:
        error: what went wrong.
        request_id: the id to quote.
        allow: the methods that the path has, for METHOD_NOT_ALLOWED.
    """
    return _response(error, problem_members(error, request_id), MEDIA_TYPE, allow)


def _response(
    error: GatewayError, members: Mapping[str, Any], media_type: str, allow: str | None
) -> Response:
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if allow is not None:
        headers["Allow"] = allow
    if error.reason is Reason.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = 'Bearer realm="nerve"'
    return Response(
        to_json(dict(members)),
        status_code=error.status,
        headers=headers,
        media_type=media_type,
    )


def documented(*reasons: Reason) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that a route may answer with, for OpenAPI."""
    responses: dict[int | str, dict[str, Any]] = {}
    for reason in reasons:
        status = STATUS_BY_REASON[reason]
        response = responses.setdefault(
            status,
            {
                "description": HTTPStatus(status).phrase,
                "content": {
                    MEDIA_TYPE: {
                        "schema": {"$ref": "#/components/schemas/Problem"},
                        "examples": {},
                    }
                },
            },
        )
        error = GatewayError(reason, "What to change.")
        if error.retry_after_s is not None:
            response["headers"] = {
                "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}
            }
        response["content"][MEDIA_TYPE]["examples"][reason.value] = {
            "value": problem_members(error, "6f1c0d2b8a5e4c3f9b7d1e2a3c4b5d6e")
        }
    return responses


def problem_members(error: GatewayError, request_id: str) -> dict[str, Any]:
    """The members of a problem (RFC 9457)."""
    members: dict[str, Any] = {
        # Says that the status is the type (RFC 9457, 4.2.1); `reason` is more exact.
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.detail,
        "reason": error.reason.value,
        "request_id": request_id,
    }
    if error.fields:
        members["errors"] = [
            {"field": field.field, "detail": field.detail} for field in error.fields
        ]
    return members


def _router_error(status: int, allow: str | None) -> GatewayError:
    """Translate what the router raises: no such path, or no such method of a path."""
    if status == _NOT_ALLOWED:
        return GatewayError(Reason.METHOD_NOT_ALLOWED, f"this path takes {allow}")
    if status == HTTPStatus.NOT_FOUND:
        return GatewayError(Reason.ROUTE_NOT_FOUND, "no such path: /docs lists those there are")
    return GatewayError(Reason.INTERNAL, INTERNAL_DETAIL)


def _allowed(scope: Scope) -> str:
    """The methods of a path, for `Allow`; the router itself names those of one route only."""
    methods: set[str] = set()
    for route in scope["router"].routes:
        if route.matches(scope)[0] is not Match.NONE:
            methods |= route.methods
    return ", ".join(sorted(methods))
