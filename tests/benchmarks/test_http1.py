"""The client's end of HTTP/1.1, fed with bytes."""

import pytest

from benchmarks.http1 import Http1Connection, encode
from benchmarks.protocol import Call, ProtocolBroken

_ANSWER = b'HTTP/1.1 200 OK\r\nserver: x\r\ncontent-length: 7\r\nx-id: 1\r\n\r\n{"a":1}'
_CALL = Call(encode("host:1", "/path", b"{}"), frozenset({200}))


@pytest.fixture
def connection() -> Http1Connection:
    """A connection with a request under way."""
    connection = Http1Connection()
    connection.request(_CALL)
    return connection


def test_a_request_says_how_long_its_body_is() -> None:
    assert encode("host:1", "/path", b"{}", "x-a: b\r\n") == (
        b"POST /path HTTP/1.1\r\nhost: host:1\r\ncontent-type: application/json\r\n"
        b"x-a: b\r\ncontent-length: 2\r\n\r\n{}"
    )


def test_an_answer_ends_where_its_length_says(connection: Http1Connection) -> None:
    assert connection.receive(_ANSWER) == (200,)
    assert connection.body == b'{"a":1}'


def test_an_answer_may_come_byte_by_byte(connection: Http1Connection) -> None:
    statuses = [connection.receive(_ANSWER[i : i + 1]) for i in range(len(_ANSWER))]
    assert not any(statuses[:-1])
    assert statuses[-1] == (200,)
    assert connection.body == b'{"a":1}'


def test_every_answer_of_a_connection_is_read(connection: Http1Connection) -> None:
    for _ in range(3):
        connection.request(_CALL)
        assert connection.receive(_ANSWER.replace(b"200 OK", b"503 No")) == (503,)
        assert connection.body == b'{"a":1}'


def test_the_case_of_a_header_does_not_matter(connection: Http1Connection) -> None:
    assert connection.receive(_ANSWER.replace(b"content-l", b"Content-L")) == (200,)


def test_a_connection_that_is_to_be_closed_takes_no_more(connection: Http1Connection) -> None:
    assert connection.reusable
    connection.receive(_ANSWER.replace(b"server: x", b"connection: close"))
    assert not connection.reusable


@pytest.mark.parametrize(
    "answer",
    [_ANSWER + b"x", _ANSWER.replace(b"content-length: 7", b"transfer-encoding: chunked")],
)
def test_what_it_cannot_read_is_an_error(connection: Http1Connection, answer: bytes) -> None:
    with pytest.raises(ProtocolBroken):
        connection.receive(answer)
