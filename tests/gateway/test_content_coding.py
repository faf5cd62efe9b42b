import gzip
import zlib

import pytest

from gateway.content_coding import decoded
from gateway.errors import GatewayError, Reason

_BODY = b'{"a": 1}' * 100


@pytest.mark.parametrize(
    ("coding", "raw"),
    [
        (None, _BODY),
        ("identity", _BODY),
        ("gzip", gzip.compress(_BODY, mtime=0)),
        ("GZIP", gzip.compress(_BODY, mtime=0)),
        ("deflate", zlib.compress(_BODY)),
    ],
)
def test_a_body_is_read_as_its_coding_says(coding: str | None, raw: bytes) -> None:
    assert decoded(raw, coding, len(_BODY)) == _BODY


@pytest.mark.parametrize(
    ("coding", "raw", "reason"),
    [
        ("br", _BODY, Reason.UNSUPPORTED_MEDIA_TYPE),
        ("gzip, gzip", _BODY, Reason.UNSUPPORTED_MEDIA_TYPE),
        ("gzip", _BODY, Reason.MALFORMED_JSON),
        ("gzip", b"", Reason.MALFORMED_JSON),
        ("gzip", gzip.compress(_BODY, mtime=0)[:-9], Reason.MALFORMED_JSON),
    ],
)
def test_a_body_that_is_not_what_its_coding_says_is_refused(
    coding: str, raw: bytes, reason: Reason
) -> None:
    with pytest.raises(GatewayError) as caught:
        decoded(raw, coding, len(_BODY))
    assert caught.value.reason is reason


def test_a_small_body_that_grows_over_the_limit_is_refused() -> None:
    """A megabyte of zeros is a kilobyte on the wire."""
    bomb = gzip.compress(bytes(1_000_000))
    with pytest.raises(GatewayError) as caught:
        decoded(bomb, "gzip", 100_000)
    assert caught.value.reason is Reason.BODY_TOO_LARGE
