"""What the OpenAPI document says of every operation: connections, deadlines and keys."""

from typing import Any, Final

from gateway.errors import Reason
from gateway.problems import documented
from gateway.security import OPEN_PATHS
from gateway.settings import GatewaySettings

# What a connection is told whatever it asks for.
_AT_THE_SOCKET: Final = (
    Reason.MALFORMED_HTTP,
    Reason.REQUEST_TIMEOUT,
    Reason.HEADERS_TOO_LARGE,
    Reason.TOO_MANY_CONNECTIONS,
)


def describe(document: dict[str, Any], settings: GatewaySettings, timeout_header: str) -> None:
    """Add to an OpenAPI document what holds for every operation.

    Args:
        document: changed in place.
        settings: say what is on, and the longest timeout.
        timeout_header: the header in which callers ask for a shorter one.
    """
    refusals = documented(*_AT_THE_SOCKET)
    for operations in document["paths"].values():
        for operation in operations.values():
            _add(operation, refusals)
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == timeout_header:
                    parameter["schema"] = {
                        **parameter["schema"],
                        "maximum": settings.request_timeout_ms,
                    }
    if settings.authenticated:
        _describe_keys(document, settings)


def _add(operation: dict[str, Any], refusals: dict[int | str, dict[str, Any]]) -> None:
    for status, response in refusals.items():
        operation["responses"].setdefault(str(status), response)


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
    refusals = documented(Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.RATE_LIMITED)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path in OPEN_PATHS:
                operation["security"] = []
                continue
            _add(operation, refusals)
