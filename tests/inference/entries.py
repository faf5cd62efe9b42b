"""Entries of a queue, without a model or a caller behind them."""

import asyncio
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from inference.core import Priority
from inference.entry import Entry
from inference.reply import Reply


@dataclass(frozen=True)
class IdleSession:
    """A session that is only told apart from others."""

    name: str

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Is never called."""
        raise NotImplementedError


ONE, OTHER = IdleSession("one"), IdleSession("other")


@cache
def _nobodys_reply() -> Reply:
    loop = asyncio.new_event_loop()
    reply = Reply(1, loop)
    loop.close()
    return reply


def entry(
    tokens: int,
    *,
    expires_ns: int | None = None,
    session: IdleSession = ONE,
    priority: Priority = Priority.INTERACTIVE,
    index: int = 0,
) -> Entry:
    """An entry of so many tokens."""
    ids = np.zeros(tokens, np.int64)
    return Entry(session, ids, _nobodys_reply(), index, 0, expires_ns, priority)


def call(
    *tokens: int, session: IdleSession = ONE, priority: Priority = Priority.INTERACTIVE
) -> list[Entry]:
    """The entries of one call."""
    return [entry(n, session=session, priority=priority, index=i) for i, n in enumerate(tokens)]


def lengths(entries: list[Entry]) -> list[int]:
    """The length of each entry."""
    return [one.tokens for one in entries]
