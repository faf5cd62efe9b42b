"""What the OpenAPI document says about keys."""

from typing import Any

from gateway.errors import Reason
from gateway.problems import documented
from gateway.security import OPEN_PATHS
from gateway.settings import GatewaySettings


def describe(document: dict[str, Any], settings: GatewaySettings) -> None:
    """Add to an OpenAPI document how callers show who they are.

    Args:
        document: changed in place.
        settings: say what is on.
    """
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
            for status, response in refusals.items():
                operation["responses"].setdefault(str(status), response)
