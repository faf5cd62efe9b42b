"""A connection that answers under overload without asking the app.

Through the app a refusal costs half of what an answer does: at three times the load that can be
answered it would be the refusals that the processor is busy with. So a request for entities that
lies whole in one chunk is looked at before anything is made of it. What is not refused takes the
usual way, as if nobody had looked.

A head that was refused once is known from then on, and the same bytes are not parsed again: they
would be found to be the same request. The parser, which stands between two requests, never learns
of it.
"""

from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from gateway.connection import GuardedConnection
from gateway.errors import GatewayError, Reason
from gateway.joined_calls import OVERLOADED
from gateway.known_heads import KnownHeads
from gateway.metrics import GatewayMetrics
from gateway.raw_answer import ProblemTemplate, raw_problem
from telemetry import request_id as request_ids

_METHOD: Final = b"POST"
_VERSION: Final = "1.1"
_PATH: Final = "/v1/entities"
_URL: Final = _PATH.encode()
_REQUEST_LINE: Final = f"POST {_PATH} HTTP/{_VERSION}\r\n".encode()
# Fields with a say in the answer that only the app knows how to follow; chunked bodies may have
# fields behind them, which must not become those of the head.
_FOR_THE_APP: Final = frozenset({b"origin", b"expect", b"content-encoding", b"transfer-encoding"})
_REQUEST_ID: Final = request_ids.HEADER.encode()

_ERROR: Final = GatewayError(Reason.QUEUE_FULL, OVERLOADED)
_ANSWER: Final = ProblemTemplate(_ERROR)


class Refuser(Protocol):
    """Decides what is refused; see `gateway.joined_calls`."""

    @property
    def overloaded(self) -> bool:
        """Whether anything is refused."""

    def refuses(self, body: bytes) -> bool:
        """Say whether the request of this body is refused, and count it."""


@dataclass(frozen=True, slots=True)
class Shedding:
    """How requests are refused.

    Attributes:
        refuser: decides.
        metrics: where refused requests are counted.
        known_heads: of requests that may be refused, whoever's they were.
    """

    refuser: Refuser
    metrics: GatewayMetrics
    known_heads: KnownHeads = field(default_factory=KnownHeads)


class SheddingConnection(GuardedConnection):
    """A guarded connection that may refuse a request before it begins.

    Args:
        shedding: how.
        guarded: what the guarded connection takes.
    """

    def __init__(self, *, shedding: Shedding, **guarded: Any) -> None:
        super().__init__(**guarded)
        self._shedding: Final = shedding
        self._held: bytearray | None = None  # body of the request that is looked at
        self._refused_body_bytes: int | None = None  # of the request that was refused last

    def data_received(self, data: bytes) -> None:
        """Refuse a request whose head is known; else let the parser see what it is."""
        if not self._shedding.refuser.overloaded or not self._is_between_requests():
            super().data_received(data)
        elif not self._refuse_known(data):
            self._refused_body_bytes = None
            super().data_received(data)
            self._learn(data)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self._held is None:
            super().on_body(body)
        else:
            self._held += body

    def on_message_complete(self) -> None:
        """Refuse the request that is looked at, or begin it."""
        if self._held is not None:
            if self._shedding.refuser.refuses(bytes(self._held)):
                self._refused_body_bytes = len(self._held)
                self._held = None
                self._answer_refusal(self._written_refusal())
                return
            self._begin_held()
        super().on_message_complete()

    def _begin(self) -> None:
        """Begin the request, unless it is looked at first."""
        if self._may_refuse():
            self._held = bytearray()
        else:
            super()._begin()

    def _end_chunk(self) -> None:
        """Hold nothing beyond the chunk that it came in."""
        if self._held is not None:
            self._begin_held()

    def _may_refuse(self) -> bool:
        """Whether this is a request for entities, and the only one on its connection."""
        return (
            self._shedding.refuser.overloaded
            and self.url == _URL
            and self.parser.get_method() == _METHOD
            and self.parser.get_http_version() == _VERSION
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and self._is_alone()
            # A caller that does not read its refusals must not be given more of them.
            and not self.flow.write_paused
            and not any(name in _FOR_THE_APP for name, _ in self.headers)
        )

    def _begin_held(self) -> None:
        held, self._held = self._held, None
        super()._begin()
        if held:
            super().on_body(bytes(held))

    def _refuse_known(self, data: bytes) -> bool:
        """Refuse what came in one chunk, if it is a request that may be refused."""
        body = self._shedding.known_heads.body_of(data)
        if body is None or self.flow.write_paused or not self._shedding.refuser.refuses(body):
            return False
        self._answer_refusal(_ANSWER.fresh())
        return True

    def _learn(self, data: bytes) -> None:
        """Know the head again, if a request was refused that began with the chunk."""
        if self._refused_body_bytes is not None and data.startswith(_REQUEST_LINE):
            names = (name for name, _ in self.headers)
            self._shedding.known_heads.learn(data, names, self._refused_body_bytes)

    def _written_refusal(self) -> bytes:
        """Write the answer to the request that the parser has read."""
        ids = (value for name, value in self.headers if name == _REQUEST_ID)
        asked = next(ids, None)
        if asked is None:
            return _ANSWER.fresh()
        return raw_problem(_ERROR, request_ids.accept(asked.decode("latin-1")))

    def _answer_refusal(self, answer: bytes) -> None:
        self.transport.write(answer)
        metrics = self._shedding.metrics
        metrics.record(_PATH, "POST", _ERROR.status, 0.0)
        metrics.failed(_ERROR.reason)
        self._end_answer()
