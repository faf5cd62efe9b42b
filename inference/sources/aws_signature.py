"""The signature of a request to an S3-compatible store; no I/O, the time is an argument.

Source: AWS Signature Version 4, "Signature Calculations for the Authorization Header".
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

_ALGORITHM = "AWS4-HMAC-SHA256"
_SERVICE = "s3"
# Of no body: every request here only reads.
_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who asks; nothing of it is ever shown."""

    key_id: str
    secret: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def signed_headers(
    host: str,
    path: str,
    query: Mapping[str, str],
    credentials: Credentials,
    region: str,
    now: datetime,
) -> dict[str, str]:
    """Writes the headers of a signed GET.

    Args:
        host: with the port, where it is not the scheme's own.
        path: unquoted, from the first "/" on.
        query: unquoted.
        credentials: who asks.
        region: of the bucket.
        now: with time zone UTC.

    Returns:
        Every header that must be sent, `host` included.
    """
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": host, "x-amz-content-sha256": _EMPTY_SHA256, "x-amz-date": stamp}
    if credentials.session_token:
        headers["x-amz-security-token"] = credentials.session_token
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        [
            "GET",
            quoted_path(path),
            quoted_query(query),
            *(f"{name}:{headers[name]}" for name in sorted(headers)),
            "",
            names,
            _EMPTY_SHA256,
        ]
    )
    scope = f"{stamp[:8]}/{region}/{_SERVICE}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{credentials.secret}".encode()
    for part in (stamp[:8], region, _SERVICE, "aws4_request"):
        key = _hmac(key, part)
    signature = _hmac(key, f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}").hex()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.key_id}/{scope},"
        f" SignedHeaders={names}, Signature={signature}"
    )
    return headers


def quoted_path(path: str) -> str:
    """A path as it is signed and must be sent."""
    return quote(path, safe="/-_.~")


def quoted_query(query: Mapping[str, str]) -> str:
    """A query as it is signed and must be sent: sorted, each part quoted."""
    parts = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in query.items())
    return "&".join(f"{key}={value}" for key, value in parts)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
