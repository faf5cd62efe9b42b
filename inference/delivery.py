"""The way of outcomes back from a worker's thread to the event loops that wait for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from inference.entry import Entry
    from inference.reply import Outcome


def deliver(outcomes: Sequence[tuple[Entry, Outcome]]) -> None:
    """Hands outcomes to their replies, in one step for each event loop; called from any thread.

    Args:
        outcomes: of entries that have been run or refused.
    """
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Entry, Outcome]]] = {}
    for entry, outcome in outcomes:
        by_loop.setdefault(entry.reply.loop, []).append((entry, outcome))
    for loop, pairs in by_loop.items():
        # A loop that is closed has no caller left.
        if not loop.is_closed():
            loop.call_soon_threadsafe(_put, pairs)


def _put(outcomes: Sequence[tuple[Entry, Outcome]]) -> None:
    for entry, outcome in outcomes:
        entry.reply.put(entry.index, outcome)
