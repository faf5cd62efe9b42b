"""The request id that follows one request through both services."""

import re
import secrets
from typing import Final

# Lower case: gRPC refuses metadata keys with capitals; HTTP header names ignore case.
HEADER: Final = "x-request-id"

# Wide enough for UUIDs, ULIDs and `trace:span` ids; safe to copy into headers and log lines.
_ACCEPTED: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def new() -> str:
    """Make a fresh request id of 32 hexadecimal digits."""
    return secrets.token_hex(16)


def accept(value: str | None) -> str:
    """Keep a caller's request id if it is safe to repeat, else make a new one.

    Args:
        value: what the caller sent, or None.

    Returns:
        An id of 1 to 128 characters out of `A-Z a-z 0-9 . _ : -`.
    """
    if value is not None and _ACCEPTED.fullmatch(value):
        return value
    return new()
