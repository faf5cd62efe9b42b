"""A server whose answers a test chooses, for a protocol in which a line is a call."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from benchmarks.protocol import Call


@dataclass(slots=True)
class LineServer:
    """A listening server.

    Attributes:
        answer: makes the answer to a line; none hangs up instead.
    """

    answer: Callable[[str], bytes | None]
    listener: socket.socket
    lines: list[str] = field(default_factory=list)
    connections: int = 0

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self.listener.getsockname()
        return host, port

    def serve(self) -> None:
        """Takes connections until the listener is closed."""
        with suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self._talk, args=(peer,), daemon=True).start()

    def _talk(self, peer: socket.socket) -> None:
        with peer, suppress(OSError), peer.makefile("rb") as lines:
            for line in lines:
                text = line.decode().strip()
                self.lines.append(text)
                answer = self.answer(text)
                if answer is None:
                    return
                peer.sendall(answer)


@contextmanager
def serving(answer: Callable[[str], bytes | None]) -> Iterator[LineServer]:
    """A running server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = LineServer(answer, listener)
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


class LineConnection:
    """The client's end: an answer is a status in a line."""

    def __init__(self) -> None:
        self.reusable = True
        self.refused = False
        self.body = b""

    def opening(self) -> bytes:
        """Nothing."""
        return b""

    def request(self, call: Call) -> bytes:
        """The line."""
        return call.wire

    def receive(self, data: bytes) -> Sequence[int]:
        """The statuses in whole lines; the tests' answers are short and come whole."""
        self.body = data
        return [int(line) for line in data.splitlines()]

    def outgoing(self) -> bytes:
        """Nothing."""
        return b""

    def cancel(self) -> bytes | None:
        """None: only hanging up."""
        return None
