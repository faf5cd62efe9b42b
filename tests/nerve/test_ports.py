import socket
from collections.abc import Iterator

import pytest

from nerve.ports import Listener, PortTaken, find_free


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of the loopback interface on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


_EVERYWHERE = "0.0.0.0"  # noqa: S104 - no more than probed


@pytest.mark.parametrize("host", ["127.0.0.1", _EVERYWHERE])
def test_a_taken_port_is_named_with_the_variable_that_moves_it(host: str, taken: int) -> None:
    with pytest.raises(PortTaken, match=rf"port {taken}: .*GATEWAY_PORT moves it"):
        find_free(Listener(host, taken, "GATEWAY_PORT"))


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(PortTaken, match=r"192\.0\.2\.1"):
        find_free(Listener("192.0.2.1", 0, "GATEWAY_PORT"))


def test_a_free_port_stays_free() -> None:
    port, other = (found.port for found in find_free(*[Listener("127.0.0.1", 0, "X")] * 2))
    assert 0 < port != other
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_port_with_lingering_connections_is_free() -> None:
    """What closes a connection first keeps it in TIME_WAIT: a restart must not wait for that."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            accepted.close()
            client.recv(1)
    (found,) = find_free(Listener("127.0.0.1", port, "X"))
    assert found.port == port


@pytest.mark.parametrize(
    ("host", "reachable", "shown"),
    [
        (_EVERYWHERE, "127.0.0.1:8080", "localhost:8080"),
        ("::", "[::1]:8080", "localhost:8080"),
        ("127.0.0.1", "127.0.0.1:8080", "localhost:8080"),
        ("10.0.0.7", "10.0.0.7:8080", "10.0.0.7:8080"),
        ("fd00::7", "[fd00::7]:8080", "[fd00::7]:8080"),
    ],
)
def test_where_to_connect(host: str, reachable: str, shown: str) -> None:
    listener = Listener(host, 8080, "X")
    assert (listener.reachable, listener.shown) == (reachable, shown)
