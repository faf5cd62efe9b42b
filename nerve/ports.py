"""TCP ports that the services will listen on."""

import socket
from contextlib import ExitStack
from dataclasses import dataclass, replace

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class PortTaken(Exception):
    """A service could not listen where its settings say; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a service listens.

    Attributes:
        host: a name or an address without brackets; `0.0.0.0` and `::` mean every interface.
        port: 0 until `find_free` has chosen one.
        variable: the environment variable that moves the port.
    """

    host: str
    port: int
    variable: str

    @property
    def reachable(self) -> str:
        """`host:port` that a client on this machine can connect to, without name look-ups."""
        host = _WILDCARDS.get(self.host, self.host)
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """`host:port` as a person on this machine writes it."""
        if self.host in _WILDCARDS or self.host in _LOOPBACK:
            return f"localhost:{self.port}"
        return self.reachable


def find_free(*listeners: Listener) -> tuple[Listener, ...]:
    """Makes sure that services will be able to listen, and chooses a port for each port 0.

    The ports are not held: another process may still take one before its service does, which then
    says so itself.

    Args:
        listeners: where the services are to listen; two of them on one port are in each other's
            way.

    Returns:
        The same with their ports, never 0.

    Raises:
        PortTaken: somebody listens there, or the address is not one of this machine.
    """
    with ExitStack() as held:
        return tuple(_hold(listener, held) for listener in listeners)


def _hold(listener: Listener, held: ExitStack) -> Listener:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            listener.host, listener.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        probe = held.enter_context(socket.socket(family, kind, protocol))
        # As the services do: connections of an earlier run that still linger do no harm.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen()
    except OSError as error:
        raise PortTaken(
            f"cannot listen on {listener.host}, port {listener.port}: {error.strerror}."
            f" {listener.variable} moves it."
        ) from error
    return replace(listener, port=probe.getsockname()[1])
