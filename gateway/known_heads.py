"""Heads of requests that were parsed before, so that the same bytes need not be parsed again.

A caller that keeps its connection writes the same head over and over, but for the length of the
body. Where what is asked of a request is known from its head, its bytes tell as much.
"""

from collections.abc import Iterable
from typing import Final

_HEADS: Final = 1024
_MOST_HEAD_BYTES: Final = 1024
_END: Final = b"\r\n\r\n"

# Other ones in each request, or not to be kept beyond it.
_NOT_KEPT: Final = frozenset(
    {
        b"x-request-id",
        b"traceparent",
        b"authorization",
        b"proxy-authorization",
        b"x-api-key",
        b"cookie",
    }
)


class KnownHeads:
    """Heads, and how long the body behind each is: at most 1,024 of at most 1 KiB."""

    def __init__(self) -> None:
        self._body_bytes: Final[dict[bytes, int]] = {}

    def body_of(self, request: bytes) -> bytes | None:
        """Take the body of a request, if its head is known.

        Args:
            request: what came in one chunk.

        Returns:
            None: unknown, or not exactly one request.
        """
        head_bytes = request.find(_END) + len(_END)
        body_bytes = self._body_bytes.get(request[:head_bytes])
        if body_bytes is None or head_bytes + body_bytes != len(request):
            return None
        return request[head_bytes:]

    def learn(self, request: bytes, names: Iterable[bytes], body_bytes: int) -> None:
        """Keep the head of a request, unless it will not come again.

        Args:
            request: a chunk that held a request; nothing is kept if it held more than that.
            names: of the request's fields, in lower case.
            body_bytes: of its body, which is not chunked.
        """
        head_bytes = request.find(_END) + len(_END)
        if head_bytes + body_bytes != len(request):
            return
        if head_bytes > _MOST_HEAD_BYTES or not _NOT_KEPT.isdisjoint(names):
            return
        if len(self._body_bytes) >= _HEADS:
            self._body_bytes.clear()
        self._body_bytes[request[:head_bytes]] = body_bytes
