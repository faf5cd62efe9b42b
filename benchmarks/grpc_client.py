"""The client's end of gRPC calls: unary ones, or the messages of one bidirectional stream.

A call is right only with trailers that say `grpc-status: 0`.

Source: gRPC over HTTP/2, grpc/grpc doc/PROTOCOL-HTTP2.md.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Final

from benchmarks import hpack
from benchmarks.http2 import Http2Connection
from benchmarks.protocol import CONNECTION_LOST, Call, ProtocolBroken

OK: Final = 0
_UNKNOWN: Final = 2
_PREFIX: Final = Struct(">BI")
_POST, _HTTP = hpack.static(3), hpack.static(6)
# As services set one; the server then keeps a timer for each call.
_TIMEOUT: Final = "60S"


def encode(message: bytes) -> bytes:
    """Puts the length before a message."""
    return _PREFIX.pack(0, len(message)) + message


def timeout_field(milliseconds: int) -> bytes:
    """The deadline of a single call, as a header field."""
    return hpack.literal("grpc-timeout", f"{milliseconds}m")


class _Grpc(Http2Connection):
    """What both kinds of calls share.

    Args:
        authority: `host:port`.
        method: `/package.Service/Method`.
    """

    def __init__(self, authority: str, method: str) -> None:
        super().__init__()
        fields = (
            (":path", method), (":authority", authority), ("te", "trailers"),
            ("content-type", "application/grpc"), ("user-agent", "nerve-benchmarks"),
        )  # fmt: skip
        timeout = ("grpc-timeout", _TIMEOUT)
        # Once the peer has the fields in its table, they are a byte each.
        self._first_block = _POST + _HTTP + hpack.first_block((*fields, timeout))
        later = hpack.later_block((*fields, timeout))
        self._block = _POST + _HTTP + later
        self._block_without_timeout = self._block[:-1]
        self._is_first = True
        self._statuses: dict[bytes, int] = {}
        self._ended: list[int] = []
        self._message = b""
        self._body = b""

    @property
    def body(self) -> bytes:
        """The message that was answered last."""
        return self._body

    def receive(self, data: bytes) -> Sequence[int]:
        """Takes what arrived; see `ClientConnection`."""
        self.take(data)
        if not self._ended:
            return ()
        ended, self._ended = self._ended, []
        return ended

    def _open(self, extra_headers: bytes = b"") -> bytes:
        self._message = b""
        if self._is_first:
            # The table must hold all fields before a call leaves one of them out.
            self._is_first = False
            return self.open_stream(self._first_block)
        if extra_headers:
            return self.open_stream(self._block_without_timeout + extra_headers)
        return self.open_stream(self._block)

    def _status(self, block: bytes) -> int:
        """The status that trailers hold; equal trailers are equal bytes."""
        status = self._statuses.get(block)
        if status is None:
            value = hpack.read(block).get("grpc-status", "")
            status = self._statuses[block] = int(value) if value.isdigit() else _UNKNOWN
        return status


class UnaryConnection(_Grpc):
    """One unary call at a time; `receive` gives gRPC statuses."""

    def request(self, call: Call) -> bytes:
        """Headers and message."""
        return self._open(call.extra_headers) + self.send(call.wire, end_stream=True)

    def on_fields(self, block: bytes, *, end_stream: bool) -> None:
        """Trailers end the call."""
        if end_stream:
            self.end_call()
            status = self._status(block)
            if status == OK and len(self._message) < _PREFIX.size:
                raise ProtocolBroken("grpc-status 0 without a message")
            self._body = self._message[_PREFIX.size :]
            self._ended.append(status)

    def on_data(self, payload: bytes, *, end_stream: bool) -> None:
        """Part of the answer."""
        self._message = self._message + payload if self._message else payload
        if end_stream:
            raise ProtocolBroken("an answer without trailers")

    def on_reset(self) -> None:
        """The call has failed."""
        self._ended.append(CONNECTION_LOST)


class StreamConnection(_Grpc):
    """One bidirectional stream: each message that comes back ends one call, in order."""

    def __init__(self, authority: str, method: str) -> None:
        super().__init__(authority, method)
        self._is_open = False
        self._unanswered = 0

    def request(self, call: Call) -> bytes:
        """The next message; the first one opens the stream."""
        self._unanswered += 1
        opening = b""
        if not self._is_open:
            self._is_open = True
            opening = self._open()
        return opening + self.send(call.wire, end_stream=False)

    def on_fields(self, block: bytes, *, end_stream: bool) -> None:
        """Trailers before the last answer: the stream has failed, and what is open with it."""
        if end_stream:
            self.end_call()
            self._fail(self._status(block) or CONNECTION_LOST)

    def on_data(self, payload: bytes, *, end_stream: bool) -> None:
        """Some answers, or part of one."""
        if end_stream:
            raise ProtocolBroken("a stream without trailers")
        buffer = self._message + payload if self._message else payload
        while len(buffer) >= _PREFIX.size:
            end = _PREFIX.size + _PREFIX.unpack_from(buffer)[1]
            if len(buffer) < end:
                break
            self._body = buffer[_PREFIX.size : end]
            self._ended.append(OK)
            self._unanswered -= 1
            buffer = buffer[end:]
        self._message = buffer

    def on_reset(self) -> None:
        """The stream has failed, and what is open with it."""
        self._fail(CONNECTION_LOST)

    def _fail(self, status: int) -> None:
        self._is_open = False
        self._ended += [status] * self._unanswered
        self._unanswered = 0
