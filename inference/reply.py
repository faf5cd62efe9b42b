"""The reply to one call: the outcomes of its windows, awaited once.

Each entry of the queue carries its call's reply, so nothing is looked up by an id that a cancelled
caller may have taken with it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.errors import InferenceFailed, RecognitionError, TextRejected
from telemetry.trace_context import TraceContext


@dataclass(frozen=True, slots=True)
class WindowScores:
    """What a model run gave for one window."""

    logits: NDArray[np.float32]  # float32 [tokens, labels]
    queue_ns: int
    inference_ns: int
    batch: TraceContext | None = None  # the span of the run, where it has one


Outcome = WindowScores | RecognitionError


class Reply:
    """Collects the outcomes of a call's windows; lives on one event loop.

    Args:
        windows: how many outcomes to wait for; at least 1.
        loop: the loop that owns the reply.
        origin: the span of the call, where it has one.
    """

    __slots__ = ("_future", "_missing", "_outcomes", "loop", "origin")

    def __init__(
        self, windows: int, loop: asyncio.AbstractEventLoop, origin: TraceContext | None = None
    ) -> None:
        self.loop = loop
        self.origin = origin
        self._missing = windows
        self._outcomes: list[Outcome | None] = [None] * windows
        self._future: asyncio.Future[None] = loop.create_future()

    def put(self, index: int, outcome: Outcome) -> None:
        """Delivers one window's outcome; only on the reply's loop, once for each index."""
        self._outcomes[index] = outcome
        self._missing -= 1
        if self._missing == 0 and not self._future.done():
            self._future.set_result(None)

    @property
    def complete(self) -> bool:
        """Whether every window has its outcome."""
        return self._missing == 0

    async def outcomes(self) -> list[Outcome]:
        """Waits for every window.

        Cancelling the wait cancels nothing else: the owner of the entries abandons them.

        Returns:
            One outcome for each window, in order.
        """
        await self._future
        return [outcome for outcome in self._outcomes if outcome is not None]


def logits_of(outcomes: Sequence[Outcome]) -> list[NDArray[np.float32]] | TextRejected:
    """The scores of a text's windows, or why the text has none.

    Raises:
        RecognitionError: the whole call failed.
    """
    logits = []
    for outcome in outcomes:
        if isinstance(outcome, InferenceFailed):
            return TextRejected(outcome.reason, outcome.detail)
        if isinstance(outcome, RecognitionError):
            raise outcome
        logits.append(outcome.logits)
    return logits
