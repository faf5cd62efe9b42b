"""What a load generator knows of a protocol: bytes and statuses; no sockets, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

# Statuses of calls that no server answered; HTTP's and gRPC's own are not negative.
CONNECTION_LOST: Final = -1  # the peer closed the connection, or reset the stream
LEFT: Final = -2  # the caller went away by its own will
UNANSWERED: Final = -3  # still open when the caller's patience ended


class ProtocolBroken(Exception):
    """The peer sent what the protocol does not allow, or what this client does not read."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call, encoded before the clock starts."""

    wire: bytes  # HTTP/1.1: the whole request; gRPC: the message with its length before it
    accepts: frozenset[int]  # statuses that are right for it
    texts: int = 1
    extra_headers: bytes = b""  # gRPC alone: fields of this call, as HPACK
    leave_after_ms: float | None = None  # when the caller goes away without waiting for the answer
    hangs_up: bool = False  # it leaves by closing the connection, where the protocol has a choice
    is_checked: bool = True  # whether the answer must hold what its texts ask for


class ClientConnection(Protocol):
    """The client's end of one connection."""

    @property
    def reusable(self) -> bool:
        """Whether the peer takes further calls on it."""

    @property
    def refused(self) -> bool:
        """Whether the peer said that it never began the call under way: it may be sent again."""

    @property
    def body(self) -> bytes:
        """The answer that ended last, as JSON or as a protobuf message."""

    def opening(self) -> bytes:
        """What is sent before the first call."""

    def request(self, call: Call) -> bytes:
        """Begins a call and gives what is to be sent now."""

    def receive(self, data: bytes) -> Sequence[int]:
        """Takes what arrived; gives the status of each call that ended with it, in order.

        Raises:
            ProtocolBroken: the peer's fault, or a part of the protocol that this does not read.
        """

    def outgoing(self) -> bytes:
        """What the protocol itself wants to send after `receive`; empty most times."""

    def cancel(self) -> bytes | None:
        """Gives up the call under way; none where only closing the connection does that."""
