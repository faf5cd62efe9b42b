"""What the OpenAPI document says of every operation: connections, deadlines, keys and limits."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.errors import Reason
from gateway.problems import documented
from gateway.security import OPEN_PATHS
from gateway.settings import GatewaySettings

Responses = dict[int | str, dict[str, Any]]
# Describes the answers for some reasons, in the form that the errors of a path have.
Form = Callable[..., Responses]

# What a connection is told whatever it asks for.
_AT_THE_SOCKET: Final = (
    Reason.MALFORMED_HTTP,
    Reason.REQUEST_TIMEOUT,
    Reason.HEADERS_TOO_LARGE,
    Reason.TOO_MANY_CONNECTIONS,
)


def describe(
    document: dict[str, Any],
    settings: GatewaySettings,
    timeout_header: str,
    dialects: Mapping[str, Form],
) -> None:
    """Add to an OpenAPI document what holds for every operation.

    Args:
        document: changed in place.
        settings: say what is on, and the longest timeout.
        timeout_header: the header in which callers ask for a shorter one.
        dialects: how errors are described under paths that begin so, where not as problems.
    """
    at_the_socket, at_the_door = documented(*_AT_THE_SOCKET), _at_the_door(settings)
    for path, operations in document["paths"].items():
        refusals = {} if path in OPEN_PATHS else _form_of(path, dialects)(*at_the_door)
        for operation in operations.values():
            _add(operation, at_the_socket)
            _add(operation, refusals)
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == timeout_header:
                    parameter["schema"] = {
                        **parameter["schema"],
                        "maximum": settings.request_timeout_ms,
                    }
    if settings.authenticated:
        _describe_keys(document, settings)


def _at_the_door(settings: GatewaySettings) -> tuple[Reason, ...]:
    """Why a request may be refused before its route is asked."""
    refuses = (
        (Reason.UNAUTHENTICATED, settings.authenticated),
        (Reason.FORBIDDEN, settings.authenticated),
        (Reason.KEYS_UNAVAILABLE, settings.jwks_url is not None),
        (Reason.RATE_LIMITED, settings.limited),
        (
            Reason.LIMITS_UNAVAILABLE,
            settings.limited and settings.redis_url is not None and not settings.limits_fail_open,
        ),
    )
    return tuple(reason for reason, is_on in refuses if is_on)


def _form_of(path: str, dialects: Mapping[str, Form]) -> Form:
    return next((form for prefix, form in dialects.items() if path.startswith(prefix)), documented)


def _add(operation: dict[str, Any], refusals: Responses) -> None:
    responses = operation["responses"]
    for status, response in refusals.items():
        known = responses.get(str(status))
        responses[str(status)] = response if known is None else _both(known, response)


def _both(known: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Two descriptions of one status as one: every media type, with the examples of both."""
    content = dict(known["content"])
    for media_type, form in more["content"].items():
        there = content.get(media_type, {})
        examples = {**there.get("examples", {}), **form.get("examples", {})}
        content[media_type] = {**form, **there, **({"examples": examples} if examples else {})}
    return {**more, **known, "content": content}


def _describe_keys(document: dict[str, Any], settings: GatewaySettings) -> None:
    components = document.setdefault("components", {})
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API key or a token."},
    }
    if settings.keys_file is not None:
        components["securitySchemes"]["header"] = {
            "type": "apiKey",
            "in": "header",
            "name": "X-API-Key",
        }
    document["security"] = [{name: []} for name in components["securitySchemes"]]
    for path in OPEN_PATHS & document["paths"].keys():
        for operation in document["paths"][path].values():
            operation["security"] = []
