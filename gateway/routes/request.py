"""What handlers read from an HTTP request."""

from typing import Final, TypeVar

from fastapi import Request
from pydantic import TypeAdapter
from starlette.requests import ClientDisconnect

from gateway.errors import FieldError, GatewayError, Reason
from gateway.middleware import note_patience
from gateway.wire import parse_json

Body = TypeVar("Body")

TIMEOUT_HEADER: Final = "X-Request-Timeout-Ms"

TIMEOUT_PARAMETER: Final = {
    "name": TIMEOUT_HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "integer", "minimum": 1},
    "description": "Give up after so many milliseconds; at most the server's own limit.",
}


async def read_json(request: Request, adapter: TypeAdapter[Body]) -> Body:
    """Read the JSON body.

    Raises:
        GatewayError: UNSUPPORTED_MEDIA_TYPE, MALFORMED_JSON or FIELD_INVALID.
    """
    return parse_json(adapter, await read_json_bytes(request))


async def read_json_bytes(request: Request) -> bytes:
    """Read a body that says it is JSON, and do not look into it.

    Raises:
        GatewayError: UNSUPPORTED_MEDIA_TYPE.
    """
    if not is_json(request.headers.get("content-type", "")):
        raise GatewayError(
            Reason.UNSUPPORTED_MEDIA_TYPE, "send the body as content type application/json in UTF-8"
        )
    return await _body(request)


async def _body(request: Request) -> bytes:
    """Read the whole body; a short one comes in one message, without a stream around it.

    Raises:
        ClientDisconnect: the caller went away before its end.
    """
    parts = []
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def is_json(content_type: str) -> bool:
    """Say whether a content type is JSON in UTF-8."""
    if content_type == "application/json":
        return True
    essence, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = (part.removeprefix("charset=") for part in parameters if part.startswith("charset="))
    return essence == "application/json" and all(
        charset.strip('"') in {"utf-8", "utf8"} for charset in charsets
    )


def timeout_s(request: Request, longest_ms: int) -> float:
    """Read how long the caller is willing to wait.

    Args:
        request: may have the header `X-Request-Timeout-Ms`.
        longest_ms: the server's limit, and the default.

    Returns:
        Seconds until the request is given up.

    Raises:
        GatewayError: FIELD_INVALID.
    """
    asked = request.headers.get(TIMEOUT_HEADER)
    if asked is None:
        return longest_ms / 1e3
    # At most as many digits as the limit has: int() of a long number takes long.
    valid = asked.isascii() and asked.isdigit() and len(asked) <= len(str(longest_ms))
    if not valid or not 1 <= int(asked) <= longest_ms:
        detail = f"must be a whole number from 1 to {longest_ms}"
        raise GatewayError(
            Reason.FIELD_INVALID,
            "a header is not valid",
            fields=(FieldError(TIMEOUT_HEADER, detail),),
        )
    wait_s = int(asked) / 1e3
    note_patience(request.scope, wait_s)
    return wait_s
