"""A window that waits for a worker, with everything needed to answer it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from inference.core import Priority

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from inference.reply import Reply


class Runnable(Protocol):
    """A model as the queue knows it: something that windows share or do not.

    It must bear weak references: what is known of a model is kept as long as the model is.
    """

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores int64 [batch, tokens] into float32 [batch, tokens, labels]."""
        ...


@dataclass(slots=True, eq=False)
class Entry:
    """A window in the queue. Nothing is looked up by an id: it carries its reply."""

    session: Runnable
    ids: NDArray[np.int64]  # int64 [tokens]
    reply: Reply
    index: int  # of the window in its reply
    queued_ns: int
    expires_ns: int | None  # None: the caller waits for ever
    priority: Priority = Priority.INTERACTIVE
    model: str = ""  # name and version, for metrics
    turn: float = 0.0  # virtual time in its lane at which it is run; the lane sets it
    waiting: bool = False  # in the queue, and somebody wants it

    @property
    def tokens(self) -> int:
        """Length of the window."""
        return len(self.ids)
