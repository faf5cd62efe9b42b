"""The client's end of gRPC over HTTP/2, fed with frames."""

import struct

import pytest

from benchmarks import hpack
from benchmarks.grpc_client import StreamConnection, UnaryConnection, encode
from benchmarks.http2 import frame
from benchmarks.protocol import CONNECTION_LOST, Call, ProtocolBroken

_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW, _CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
_END_STREAM, _END_HEADERS = 1, 4
_OK = hpack.literal("grpc-status", "0")
_HEAD = hpack.static(8) + hpack.literal("content-type", "application/grpc")
_FRAME_BYTES, _WINDOW_BYTES = 16_384, 65_535


def _call(size: int = 10) -> Call:
    return Call(b"m" * size, frozenset({0}))


def _answer(stream: int, body: bytes = b"answer") -> bytes:
    return (
        frame(_HEADERS, _END_HEADERS, stream, _HEAD)
        + frame(_DATA, 0, stream, encode(body))
        + frame(_HEADERS, _END_HEADERS | _END_STREAM, stream, _OK)
    )


def _u32(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def _frames(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """Type, flags, stream and payload of each frame."""
    found = []
    while data:
        high, low, kind, flags, stream = struct.unpack(">BHBBI", data[:9])
        size = high << 16 | low
        found.append((kind, flags, stream, data[9 : 9 + size]))
        data = data[9 + size :]
    return found


@pytest.fixture
def connection() -> UnaryConnection:
    """A connection with its first call under way, on stream 1."""
    connection = UnaryConnection("host:1", "/Service/Method")
    connection.opening()
    connection.request(_call())
    return connection


def test_a_call_is_headers_and_data_on_a_stream_of_its_own() -> None:
    connection = UnaryConnection("host:1", "/Service/Method")
    for stream in (1, 3, 5):
        headers, data = _frames(connection.request(_call()))
        assert headers[:3] == (_HEADERS, _END_HEADERS, stream)
        assert data == (_DATA, _END_STREAM, stream, b"m" * 10)
        connection.receive(_answer(stream))


def test_the_fields_of_the_first_call_are_in_the_table_of_the_peer_for_later_ones() -> None:
    connection = UnaryConnection("host:1", "/Service/Method")
    first = _frames(connection.request(_call()))[0][3]
    connection.receive(_answer(1))
    later = _frames(connection.request(_call()))[0][3]
    assert b"/Service/Method" in first
    assert later == first[:2] + bytes(range(0x80 | 67, (0x80 | 62) - 1, -1))


def test_a_call_has_ended_when_its_trailers_are_in(connection: UnaryConnection) -> None:
    answer = _answer(1)
    ended = [connection.receive(answer[i : i + 1]) for i in range(len(answer))]
    assert not any(ended[:-1])
    assert list(ended[-1]) == [0]
    assert connection.body == b"answer"


def test_a_status_without_an_answer_is_the_call_s_status(connection: UnaryConnection) -> None:
    trailers = _HEAD + hpack.literal("grpc-status", "8")
    assert list(connection.receive(frame(_HEADERS, 5, 1, trailers))) == [8]


def test_trailers_may_go_on_in_another_frame(connection: UnaryConnection) -> None:
    trailers = hpack.literal("grpc-status", "4")
    begin = frame(_HEADERS, _END_STREAM, 1, trailers[:5])
    assert list(connection.receive(begin + frame(_CONTINUATION, 4, 1, trailers[5:]))) == [4]


def test_trailers_without_a_status_are_no_success(connection: UnaryConnection) -> None:
    assert list(connection.receive(frame(_HEADERS, 5, 1, _HEAD))) == [2]


def test_success_without_a_message_is_an_error(connection: UnaryConnection) -> None:
    with pytest.raises(ProtocolBroken):
        connection.receive(frame(_HEADERS, 5, 1, _OK))


def test_a_large_message_is_sent_as_the_peer_has_room() -> None:
    connection = UnaryConnection("host:1", "/Service/Method")
    _, *sent = _frames(connection.request(_call(200_000)))
    assert [len(one[3]) for one in sent] == [_FRAME_BYTES] * 3 + [_WINDOW_BYTES - 3 * _FRAME_BYTES]
    assert not any(flags for _, flags, _, _ in sent)
    connection.receive(frame(_WINDOW, 0, 0, _u32(1_000_000)))
    assert connection.outgoing() == b""
    connection.receive(frame(_WINDOW, 0, 1, _u32(1_000_000)))
    rest = _frames(connection.outgoing())
    assert sum(len(one[3]) for one in sent + rest) == 200_000
    assert [flags for _, flags, _, _ in rest] == [0] * (len(rest) - 1) + [_END_STREAM]


def test_the_window_of_the_connection_is_that_of_all_its_calls() -> None:
    connection = UnaryConnection("host:1", "/Service/Method")
    connection.request(_call(16_000))
    for stream in (1, 3, 5):
        connection.receive(_answer(stream))
        connection.request(_call(16_000))
    connection.receive(_answer(7))
    (_, (_, _, _, payload)) = _frames(connection.request(_call(16_000)))
    assert len(payload) == _WINDOW_BYTES - 4 * 16_000


def test_settings_move_the_window_of_the_stream_and_are_acknowledged() -> None:
    connection = UnaryConnection("host:1", "/Service/Method")
    connection.receive(frame(_WINDOW, 0, 0, _u32(1_000_000)))
    connection.request(_call(100_000))
    settings = struct.pack(">HIHI", 4, 90_000, 5, 20_000)
    connection.receive(frame(_SETTINGS, 0, 0, settings))
    acknowledgement, *data = _frames(connection.outgoing())
    assert acknowledgement == (_SETTINGS, 1, 0, b"")
    assert sum(len(one[3]) for one in data) == 90_000 - _WINDOW_BYTES
    assert len(data[0][3]) == 20_000


def test_a_ping_is_answered_and_its_answer_is_not(connection: UnaryConnection) -> None:
    connection.receive(frame(_PING, 0, 0, b"12345678") + frame(_PING, 1, 0, b"87654321"))
    assert _frames(connection.outgoing()) == [(_PING, 1, 0, b"12345678")]
    assert connection.outgoing() == b""


def test_windows_are_given_back_when_half_is_used(connection: UnaryConnection) -> None:
    part = b"\0" * (1 << 24)  # the largest payload of a frame, but for one byte
    connection.on_data = lambda payload, *, end_stream: None  # type: ignore[method-assign]
    for _ in range(34):
        connection.receive(frame(_DATA, 0, 1, part[1:]))
    given = _frames(connection.outgoing())
    assert [(kind, stream) for kind, _, stream, _ in given] == [(_WINDOW, 0), (_WINDOW, 1)]
    assert all(int.from_bytes(payload) > 2**29 for _, _, _, payload in given)


def test_a_reset_stream_is_a_failed_call(connection: UnaryConnection) -> None:
    assert list(connection.receive(frame(_RST, 0, 1, _u32(7)))) == [CONNECTION_LOST]


def test_what_comes_for_a_cancelled_call_is_not_taken_for_the_next_one(
    connection: UnaryConnection,
) -> None:
    assert _frames(connection.cancel() or b"") == [(_RST, 0, 1, _u32(8))]
    assert not connection.receive(_answer(1, b"late"))
    connection.request(_call())
    assert not connection.receive(_answer(1, b"late"))
    assert list(connection.receive(_answer(3, b"right"))) == [0]
    assert connection.body == b"right"


@pytest.mark.parametrize(("last_stream", "refused"), [(1, False), (0, True)])
def test_a_peer_that_goes_away_says_whether_it_took_the_call(
    connection: UnaryConnection, last_stream: int, refused: bool
) -> None:
    connection.receive(frame(_GOAWAY, 0, 0, _u32(last_stream, 0)))
    assert not connection.reusable
    assert connection.refused is refused


def test_messages_of_a_stream_end_their_calls_in_order() -> None:
    connection = StreamConnection("host:1", "/Service/Method")
    kinds = [one[0] for _ in range(3) for one in _frames(connection.request(_call()))]
    assert kinds == [_HEADERS, _DATA, _DATA, _DATA]
    answers = encode(b"first") + encode(b"second")
    connection.receive(frame(_HEADERS, _END_HEADERS, 1, _HEAD))
    assert not connection.receive(frame(_DATA, 0, 1, answers[:7]))
    assert list(connection.receive(frame(_DATA, 0, 1, answers[7:]))) == [0, 0]
    assert connection.body == b"second"


def test_a_stream_that_ends_fails_every_call_that_is_open() -> None:
    connection = StreamConnection("host:1", "/Service/Method")
    for _ in range(3):
        connection.request(_call())
    trailers = hpack.literal("grpc-status", "14")
    assert list(connection.receive(frame(_HEADERS, 5, 1, trailers))) == [14, 14, 14]
