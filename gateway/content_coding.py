"""Bodies that came compressed."""

import zlib
from typing import Final

from gateway.errors import GatewayError, Reason

# zlib's value for: a gzip or a zlib stream, whichever its head says, with the largest window.
# "deflate" is a zlib stream (RFC 9110, 8.4.1.2).
_GZIP_OR_ZLIB: Final = 47
_CODINGS: Final = frozenset({"gzip", "x-gzip", "deflate"})


def decoded(raw: bytes, coding: str | None, max_bytes: int) -> bytes:
    """Take a body's compression off.

    Args:
        raw: the body as it came.
        coding: its `Content-Encoding`; None if it has none.
        max_bytes: largest body; no more than that is decompressed.

    Raises:
        GatewayError: UNSUPPORTED_MEDIA_TYPE, MALFORMED_JSON or BODY_TOO_LARGE.
    """
    if coding is None or coding.lower() == "identity":
        return raw
    if coding.lower() not in _CODINGS:
        raise GatewayError(
            Reason.UNSUPPORTED_MEDIA_TYPE, "compress the body with gzip or deflate, or not at all"
        )
    stream = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        body = stream.decompress(raw, max_bytes + 1)
    except zlib.error:
        raise GatewayError(
            Reason.MALFORMED_JSON, "the body is not compressed as its content-encoding says"
        ) from None
    if len(body) > max_bytes:
        raise GatewayError(Reason.BODY_TOO_LARGE, f"the body is larger than {max_bytes} bytes")
    if not stream.eof:
        raise GatewayError(Reason.MALFORMED_JSON, "the compressed body ends too early")
    return body
