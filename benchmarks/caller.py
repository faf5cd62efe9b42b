"""One caller: a socket, the client's end of a protocol, and the calls that wait for answers."""

import socket
from collections import deque
from collections.abc import Callable, Sequence
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector
from typing import NamedTuple

from benchmarks.protocol import CONNECTION_LOST, LEFT, Call, ClientConnection

# Room for most answers; a buffer of more than 128 KiB would be mapped and unmapped each time.
_READ_BYTES = 1 << 14
_CONNECT_TIMEOUT_S = 30.0

Connect = Callable[[], ClientConnection]


class Ended(NamedTuple):
    """A call that ended; a tuple, because a frozen record costs a microsecond to make."""

    call: Call
    intended_ns: int  # when it was meant to be sent
    status: int  # the protocol's, or one of the negative ones of `protocol`


class Caller:
    """Owns one connection at a time, and makes a new one when the peer has ended the last.

    Args:
        address: host and port.
        connect: makes the client's end of a new connection.
        selector: says when there is something to read, or room to write; its data is the caller.
    """

    def __init__(self, address: tuple[str, int], connect: Connect, selector: BaseSelector) -> None:
        self._address = address
        self._connect = connect
        self._selector = selector
        self._open_calls: deque[tuple[Call, int]] = deque()
        self._unsent = b""
        self.serial = 0  # of the call that was sent last: tells it from a later one
        self._open()

    @property
    def busy(self) -> bool:
        """Whether a call waits for its answer."""
        return bool(self._open_calls)

    @property
    def body(self) -> bytes:
        """The answer that ended last."""
        return self._connection.body

    def send(self, call: Call, intended_ns: int) -> None:
        """Sends a call."""
        if not self._connection.reusable and not self._open_calls:
            self._reopen()
        self.serial += 1
        self._open_calls.append((call, intended_ns))
        self._write(self._connection.request(call))

    def flush(self) -> None:
        """Sends what the socket did not take before."""
        unsent, self._unsent = self._unsent, b""
        self._write(unsent)
        if not self._unsent:
            self._selector.modify(self._socket, EVENT_READ, self)

    def receive(self) -> Sequence[Ended]:
        """Reads what has come; gives the calls that ended."""
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return ()
        except ConnectionError:
            data = b""
        if not data:
            return self._lost()
        statuses = self._connection.receive(data)
        if out := self._connection.outgoing():
            self._write(out)
        if self._connection.refused:
            self._resend()
        if not statuses:
            return ()
        ended = [Ended(*self._open_calls.popleft(), status) for status in statuses]
        if CONNECTION_LOST in statuses:
            ended += self._lost()
        return ended

    def leave(self) -> Sequence[Ended]:
        """Goes away from every call under way."""
        (call, _), *_ = self._open_calls
        reset = None if call.hangs_up else self._connection.cancel()
        if reset is None:
            self._reopen()
        else:
            self._write(reset)
        return self.end_all(LEFT)

    def end_all(self, status: int) -> Sequence[Ended]:
        """Waits no more: every call under way ends with this status."""
        ended = [Ended(*one, status) for one in self._open_calls]
        self._open_calls.clear()
        return ended

    def close(self) -> None:
        """Closes the socket; call once, at the end."""
        self._selector.unregister(self._socket)
        self._socket.close()
        self._unsent = b""

    def _lost(self) -> Sequence[Ended]:
        self._reopen()
        return self.end_all(CONNECTION_LOST)

    def _resend(self) -> None:
        self._reopen()
        for call, _ in self._open_calls:
            self._write(self._connection.request(call))

    def _reopen(self) -> None:
        self.close()
        self._open()

    def _open(self) -> None:
        self._socket = socket.create_connection(self._address, _CONNECT_TIMEOUT_S)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(self._socket, EVENT_READ, self)
        self._connection = self._connect()
        self._write(self._connection.opening())

    def _write(self, data: bytes) -> None:
        if self._unsent:
            self._unsent += data
            return
        if not data:
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except ConnectionError:
            # The socket is readable too then, and reading says it.
            return
        if sent < len(data):
            self._unsent = data[sent:]
            self._selector.modify(self._socket, EVENT_READ | EVENT_WRITE, self)
