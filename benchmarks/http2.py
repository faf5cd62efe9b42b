"""The client's end of an HTTP/2 connection with one stream at a time: frames and flow control.

What is read: SETTINGS, PING, WINDOW_UPDATE, GOAWAY, RST_STREAM, HEADERS with CONTINUATION, DATA.
Frames of streams that are over are skipped, but their bytes count against the connection's window.

Source: RFC 9113.
"""

from struct import Struct
from typing import Final

from benchmarks.protocol import ProtocolBroken

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# Length in 24 bits, type, flags, stream.
_HEAD: Final = Struct(">BHBBI")
_HEAD_BYTES: Final = _HEAD.size
_U32: Final = Struct(">I")
_SETTING: Final = Struct(">HI")

_DATA, _HEADERS, _PRIORITY, _RST_STREAM, _SETTINGS = 0, 1, 2, 3, 4
_PUSH_PROMISE, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = 5, 6, 7, 8, 9
_ACK, _END_STREAM, _END_HEADERS, _PADDED, _PRIORITIZED = 0x1, 0x1, 0x4, 0x8, 0x20
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _INITIAL_WINDOW, _MAX_FRAME = 1, 2, 4, 5
_CANCEL: Final = 8

_DEFAULT_WINDOW_BYTES: Final = 65_535
_LARGEST_WINDOW_BYTES: Final = 2**31 - 1
# A peer may send this much before it needs more window; given back in halves.
_OUR_WINDOW_BYTES: Final = 2**30
_DEFAULT_FRAME_BYTES: Final = 16_384
# The header table that a client may count on before the peer has spoken.
_TABLE_BYTES: Final = 4_096


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Writes a frame."""
    size = len(payload)
    return _HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


class Http2Connection:
    """Frames in and out; a subclass makes calls of them.

    Attributes:
        reusable: whether the peer takes further streams.
        stream: the stream under way, or the last one.
    """

    def __init__(self) -> None:
        self.reusable = True
        self.stream = -1
        self._live = -1  # the stream under way; -1 once it is over
        self.refused = False  # the peer said that it did not, and will not, work on the stream
        self._buffer = b""
        self._control: list[bytes] = []
        self._unsent = memoryview(b"")
        self._ends_with_unsent = False
        self._peer_window = _DEFAULT_WINDOW_BYTES  # what may still be sent, on all streams
        self._peer_stream_window = _DEFAULT_WINDOW_BYTES  # and on this one
        self._initial_stream_window = _DEFAULT_WINDOW_BYTES
        self._frame_bytes = _DEFAULT_FRAME_BYTES
        self._consumed = 0  # bytes of DATA that the peer has not got its window back for
        self._stream_consumed = 0
        self._fields = b""  # of a HEADERS frame that CONTINUATION goes on with
        self._fields_end_stream = False

    def opening(self) -> bytes:
        """The preface, with no header table for the peer and windows that nothing fills."""
        settings = (
            (_HEADER_TABLE_SIZE, 0),
            (_ENABLE_PUSH, 0),
            (_INITIAL_WINDOW, _OUR_WINDOW_BYTES),
        )
        return (
            _PREFACE
            + frame(_SETTINGS, 0, 0, b"".join(_SETTING.pack(*one) for one in settings))
            + frame(_WINDOW_UPDATE, 0, 0, _U32.pack(_OUR_WINDOW_BYTES - _DEFAULT_WINDOW_BYTES))
        )

    def open_stream(self, block: bytes) -> bytes:
        """Begins the next stream with these fields; it stays open for `send`."""
        self.stream += 2
        self._live = self.stream
        self.refused = False
        self._peer_stream_window = self._initial_stream_window
        self._stream_consumed = 0
        self._unsent = memoryview(b"")
        return frame(_HEADERS, _END_HEADERS, self.stream, block)

    def send(self, payload: bytes, *, end_stream: bool) -> bytes:
        """Writes DATA as far as the windows allow; the rest comes out of `outgoing`."""
        size = len(payload)
        if (
            not self._unsent
            and size <= self._frame_bytes
            and size <= self._peer_window
            and size <= self._peer_stream_window
        ):
            self._peer_window -= size
            self._peer_stream_window -= size
            flags = _END_STREAM if end_stream else 0
            return _HEAD.pack(size >> 16, size & 0xFFFF, _DATA, flags, self.stream) + payload
        self._unsent = memoryview(bytes(self._unsent) + payload)
        self._ends_with_unsent = end_stream
        return self._sendable()

    def end_stream(self) -> bytes:
        """Says that nothing more will be sent on the stream."""
        if self._unsent:
            self._ends_with_unsent = True
            return b""
        return frame(_DATA, _END_STREAM, self.stream)

    def cancel(self) -> bytes | None:
        """Resets the stream under way: the caller does not want its answer any more."""
        self.end_call()
        return frame(_RST_STREAM, 0, self.stream, _U32.pack(_CANCEL))

    def end_call(self) -> None:
        """The stream is over: what still comes for it is skipped, what was to be sent is not."""
        self._live = -1
        self._unsent = memoryview(b"")

    def outgoing(self) -> bytes:
        """Acknowledgements, window updates, and DATA that had to wait for the peer's window."""
        if self._unsent:
            self._control.append(self._sendable())
        if not self._control:
            return b""
        out = b"".join(self._control)
        self._control.clear()
        return out

    def take(self, data: bytes) -> None:
        """Reads the frames that are complete.

        Raises:
            ProtocolBroken: a frame that this client does not read.
        """
        buffer = self._buffer + data if self._buffer else data
        at, size = 0, len(buffer)
        while size - at >= _HEAD_BYTES:
            high, low, kind, flags, stream = _HEAD.unpack_from(buffer, at)
            end = at + _HEAD_BYTES + (high << 16 | low)
            if end > size:
                break
            payload = buffer[at + _HEAD_BYTES : end]
            at = end
            if kind == _DATA:
                self._take_data(payload, flags, stream)
            elif kind in (_HEADERS, _CONTINUATION):
                self._take_fields(kind, payload, flags, stream)
            else:
                self._take_control(kind, payload, flags, stream)
        self._buffer = buffer[at:]

    def on_fields(self, block: bytes, *, end_stream: bool) -> None:
        """The stream under way got header fields, or trailers."""
        raise NotImplementedError

    def on_data(self, payload: bytes, *, end_stream: bool) -> None:
        """The stream under way got bytes."""
        raise NotImplementedError

    def on_reset(self) -> None:
        """The peer ended the stream under way without an answer."""
        raise NotImplementedError

    def _take_data(self, payload: bytes, flags: int, stream: int) -> None:
        self._consumed += len(payload)
        if self._consumed > _OUR_WINDOW_BYTES // 2:
            self._control.append(frame(_WINDOW_UPDATE, 0, 0, _U32.pack(self._consumed)))
            self._consumed = 0
        if stream != self._live:
            return
        self._stream_consumed += len(payload)
        if self._stream_consumed > _OUR_WINDOW_BYTES // 2:
            update = frame(_WINDOW_UPDATE, 0, stream, _U32.pack(self._stream_consumed))
            self._control.append(update)
            self._stream_consumed = 0
        if flags & _PADDED:
            payload = payload[1 : len(payload) - payload[0]]
        self.on_data(payload, end_stream=bool(flags & _END_STREAM))

    def _take_fields(self, kind: int, payload: bytes, flags: int, stream: int) -> None:
        if kind == _HEADERS:
            if flags & _PADDED:
                payload = payload[1 : len(payload) - payload[0]]
            if flags & _PRIORITIZED:
                payload = payload[5:]
            self._fields_end_stream = bool(flags & _END_STREAM)
            self._fields = b""
        self._fields += payload
        if flags & _END_HEADERS and stream == self._live:
            self.on_fields(self._fields, end_stream=self._fields_end_stream)

    def _take_control(self, kind: int, payload: bytes, flags: int, stream: int) -> None:
        if kind == _WINDOW_UPDATE:
            self._take_window(_U32.unpack(payload)[0] & 0x7FFF_FFFF, stream)
        elif kind == _PING:
            if not flags & _ACK:
                self._control.append(frame(_PING, _ACK, 0, payload))
        elif kind == _SETTINGS:
            if not flags & _ACK:
                self._take_settings(payload)
                self._control.append(frame(_SETTINGS, _ACK, 0))
        elif kind == _RST_STREAM:
            if stream == self._live:
                self.end_call()
                self.on_reset()
        elif kind == _GOAWAY:
            self.reusable = False
            self.refused = self._live > _U32.unpack_from(payload)[0] & 0x7FFF_FFFF
        elif kind == _PUSH_PROMISE:
            raise ProtocolBroken("the peer pushes, though that was switched off")

    def _take_window(self, size: int, stream: int) -> None:
        if stream == 0:
            self._peer_window += size
        elif stream == self._live:
            self._peer_stream_window += size
        if max(self._peer_window, self._peer_stream_window) > _LARGEST_WINDOW_BYTES:
            raise ProtocolBroken("the peer's window is larger than a window may be")

    def _take_settings(self, payload: bytes) -> None:
        for name, value in _SETTING.iter_unpack(payload):
            if name == _INITIAL_WINDOW:
                self._peer_stream_window += value - self._initial_stream_window
                self._initial_stream_window = value
            elif name == _MAX_FRAME:
                self._frame_bytes = value
            elif name == _HEADER_TABLE_SIZE and value < _TABLE_BYTES:
                raise ProtocolBroken("the peer's header table is smaller than the usual 4096 bytes")

    def _sendable(self) -> bytes:
        frames = []
        while self._unsent:
            size = min(
                len(self._unsent), self._frame_bytes, self._peer_window, self._peer_stream_window
            )
            if size <= 0:
                break
            payload, self._unsent = self._unsent[:size], self._unsent[size:]
            self._peer_window -= size
            self._peer_stream_window -= size
            ends = self._ends_with_unsent and not self._unsent
            frames.append(frame(_DATA, _END_STREAM if ends else 0, self.stream, bytes(payload)))
        return b"".join(frames)
