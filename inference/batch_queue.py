"""Which windows are run next, together: the decision alone, without threads, clock or model.

Rules:
  1. An entry waits at its turn. The first window of a call has the turn of its arrival; each
     further window comes as much later as the ones before it take to run. So a long document lets
     short texts pass between its windows, and loses nothing when it is alone.
     Source: start-time fair queueing (Goyal, Vin, Cheng 1996).
  2. A batch is formed around the entry with the earliest turn: those of near-equal length join it,
     nearest first, up to a budget of padded tokens. Padding is work, and on a CPU more of it than
     batching saves is soon reached.
  3. With several workers free, nobody takes more than a fair share of what waits.
  4. Entries whose caller has gone stop counting at once; they and those whose deadline has passed
     are dropped, never run.
  5. Time is an argument.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from inference.reply import Reply

# Windows are kept in one heap per length class; a class is this many tokens wide, so that padding
# inside a class is at most 7 tokens a row.
_CLASS_TOKENS = 8
# A shorter window may join while it fills at least this share of the row: a quarter of padding
# costs less than a run of its own does (1 ms of a 24-token sentence's 6.5 ms on Zen 3).
_LEAST_FILL = 0.75


class Runnable(Protocol):
    """A model as the queue knows it: something that windows share or do not."""

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores int64 [batch, tokens] into float32 [batch, tokens, labels]."""
        ...


@dataclass(slots=True, eq=False)
class Entry:
    """A window that waits for a worker, with everything needed to answer it."""

    session: Runnable
    ids: NDArray[np.int64]  # int64 [tokens]
    reply: Reply
    index: int  # of the window in its reply
    queued_ns: int
    expires_ns: int | None  # None: the caller waits for ever
    turn_ns: int  # when it is this entry's turn; at least `queued_ns`
    waiting: bool = False  # in the queue, and somebody wants it

    @property
    def tokens(self) -> int:
        """Length of the window."""
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Take:
    """What a worker gets: entries to run together, and entries that came too late."""

    batch: list[Entry] = field(default_factory=list)
    expired: list[Entry] = field(default_factory=list)


_Lane = dict[int, list[tuple[int, int, Entry]]]  # length class -> heap of (turn, number, entry)


class BatchQueue:
    """Windows that wait for a worker.

    Not safe for threads: its owner locks.

    Args:
        batch_tokens: most padded tokens in a batch; a longer window runs alone.
        limit_tokens: most tokens that may wait.
    """

    def __init__(self, batch_tokens: int, limit_tokens: int) -> None:
        self.limit_tokens = limit_tokens
        self.batch_tokens = batch_tokens
        self._lanes: defaultdict[Runnable, _Lane] = defaultdict(dict)
        self._number = 0  # breaks ties in order of arrival
        self.waiting_tokens = 0

    def admits(self, tokens: int) -> bool:
        """Whether so many more tokens may wait."""
        return self.waiting_tokens + tokens <= self.limit_tokens

    def put(self, entries: Iterable[Entry]) -> None:
        """Adds entries; the caller has asked `admits` for all of them."""
        for entry in entries:
            heap = self._lanes[entry.session].setdefault(entry.tokens // _CLASS_TOKENS, [])
            heapq.heappush(heap, (entry.turn_ns, self._number, entry))
            self._number += 1
            entry.waiting = True
            self.waiting_tokens += entry.tokens

    def abandon(self, entries: Iterable[Entry]) -> None:
        """Gives up entries whose caller has gone; those that run already are left alone."""
        for entry in entries:
            self._uncount(entry)

    def take(self, now_ns: int, takers: int = 1) -> Take:
        """Takes the next batch out.

        Args:
            now_ns: the present, on the clock of the entries.
            takers: workers that are free now, this one among them; at least 1.

        Returns:
            A batch of one session, none when nothing waits, and all entries dropped as expired on
            the way. Abandoned entries vanish.
        """
        expired: list[Entry] = []
        first = self._earliest(now_ns, expired)
        if first is None:
            return Take([], expired)
        share = -(-self.waiting_tokens // takers)
        budget = min(self.batch_tokens, max(share, first.tokens))
        lane = self._lanes[first.session]
        batch = self._fill(lane, first, budget, now_ns, expired)
        if not lane:
            del self._lanes[first.session]
        return Take(batch, expired)

    def drain(self) -> list[Entry]:
        """Takes everything out that somebody waits for."""
        entries = [
            entry
            for lane in self._lanes.values()
            for heap in lane.values()
            for _, _, entry in heap
            if entry.waiting
        ]
        self.abandon(entries)
        self._lanes.clear()
        return entries

    def _earliest(self, now_ns: int, expired: list[Entry]) -> Entry | None:
        """The live entry with the earliest turn of all; it stays where it is."""
        earliest: tuple[int, int, Entry] | None = None
        for session in list(self._lanes):
            lane = self._lanes[session]
            for length_class in list(lane):
                self._drop_dead(lane, length_class, now_ns, expired)
                heap = lane.get(length_class)
                if heap and (earliest is None or heap[0][:2] < earliest[:2]):
                    earliest = heap[0]
            if not lane:
                del self._lanes[session]
        return earliest[2] if earliest else None

    def _fill(
        self, lane: _Lane, first: Entry, budget: int, now_ns: int, expired: list[Entry]
    ) -> list[Entry]:
        batch = [self._pop(lane, first.tokens // _CLASS_TOKENS)]
        longest = shortest = first.tokens
        for length_class in _nearest_first(lane, first.tokens // _CLASS_TOKENS):
            while True:
                self._drop_dead(lane, length_class, now_ns, expired)
                heap = lane.get(length_class)
                if not heap:
                    break
                tokens = heap[0][2].tokens
                row = max(longest, tokens)
                if row * (len(batch) + 1) > budget or min(shortest, tokens) < _LEAST_FILL * row:
                    break
                batch.append(self._pop(lane, length_class))
                longest, shortest = row, min(shortest, tokens)
        return batch

    def _drop_dead(self, lane: _Lane, length_class: int, now_ns: int, expired: list[Entry]) -> None:
        """Removes dead entries from the head of a heap."""
        while heap := lane.get(length_class):
            entry = heap[0][2]
            if not entry.waiting:
                self._pop(lane, length_class)
            elif entry.expires_ns is not None and entry.expires_ns <= now_ns:
                expired.append(self._pop(lane, length_class))
            else:
                return

    def _pop(self, lane: _Lane, length_class: int) -> Entry:
        heap = lane[length_class]
        entry = heapq.heappop(heap)[2]
        if not heap:
            del lane[length_class]
        self._uncount(entry)
        return entry

    def _uncount(self, entry: Entry) -> None:
        if entry.waiting:
            entry.waiting = False
            self.waiting_tokens -= entry.tokens


def _nearest_first(lane: _Lane, length_class: int) -> Iterator[int]:
    """The length classes of a lane, nearest to one first, the shorter of two first."""
    yield from sorted(lane, key=lambda other: (abs(other - length_class), other))
