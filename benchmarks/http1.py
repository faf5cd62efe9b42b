"""The client's end of an HTTP/1.1 connection: one request at a time, keep-alive.

Answers are read as far as needed to know where they end: the status line and the length.

Source: RFC 9112.
"""

from collections.abc import Sequence

from benchmarks.protocol import Call, ProtocolBroken

_LENGTH = b"\r\ncontent-length:"
_END_OF_HEAD = b"\r\n\r\n"
_NOTHING: tuple[int, ...] = ()
_STATUS = slice(9, 12)  # in "HTTP/1.1 200 OK"


def encode(host: str, path: str, body: bytes, extra: str = "") -> bytes:
    """Writes a POST of JSON.

    Args:
        host: `host:port`.
        path: of the resource.
        body: JSON.
        extra: further header lines, each ending with CRLF.
    """
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        f"{extra}content-length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


class Http1Connection:
    """One connection; `receive` gives HTTP statuses."""

    refused = False  # nothing in HTTP/1.1 says so

    def __init__(self) -> None:
        self.reusable = True
        self._buffer = b""
        self._body_start = 0

    @property
    def body(self) -> bytes:
        """The body of the answer that ended last; valid until the next `receive`."""
        return self._buffer[self._body_start :]

    def opening(self) -> bytes:
        """Nothing: HTTP/1.1 begins with the first request."""
        return b""

    def request(self, call: Call) -> bytes:
        """The request itself."""
        self._buffer = b""
        return call.wire

    def receive(self, data: bytes) -> Sequence[int]:
        """Takes what arrived; see `ClientConnection`."""
        buffer = self._buffer = self._buffer + data if self._buffer else data
        head_end = buffer.find(_END_OF_HEAD)
        if head_end < 0:
            return _NOTHING
        body_start = head_end + len(_END_OF_HEAD)
        missing = body_start + self._length(buffer, head_end) - len(buffer)
        if missing > 0:
            return _NOTHING
        if missing < 0:
            raise ProtocolBroken("more bytes than the answer's content-length")
        self._body_start = body_start
        return (int(buffer[_STATUS]),)

    def outgoing(self) -> bytes:
        """Nothing: HTTP/1.1 has no messages of its own."""
        return b""

    def cancel(self) -> bytes | None:
        """None: a client of HTTP/1.1 leaves by closing the connection."""
        return None

    def _length(self, buffer: bytes, head_end: int) -> int:
        at = buffer.find(_LENGTH, 0, head_end)
        if at < 0:
            # Another server may write it as `Content-Length`: rare, so slower.
            at = buffer[:head_end].lower().find(_LENGTH)
        if at < 0:
            raise ProtocolBroken("an answer without content-length")
        at += len(_LENGTH)
        length = int(buffer[at : buffer.find(b"\r", at)])
        # uvicorn says `close` only when it drains, and httptools' errors do.
        if buffer.find(b"onnection: close", 0, head_end) >= 0:
            self.reusable = False
        return length
