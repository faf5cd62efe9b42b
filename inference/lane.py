"""The windows of one model and one priority that wait, and when each has its turn.

Rules:
  1. An entry waits at its turn, in virtual time. The first window of a call has its turn now; each
     further one comes later by what the ones before it cost. So the windows of a long document, or
     of a call with many texts, let others pass between them, however many such calls there are.
     Source: start-time fair queueing, as in `fair_share`, with each call as a flow.
  2. The clock moves to each turn that is served, and with each batch by at least a part of its
     cost: so every turn comes, whatever arrives.
  3. A batch is formed around the earliest turn; others are asked to join it nearest length first.
  4. Abandoned entries stop counting at once; they and the late are dropped, never run. Late is who
     has no time left, or clearly too little for a run.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from typing import TYPE_CHECKING

from inference.batch import Batch
from inference.fair_share import Flow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.batch import Bounds
    from inference.cost_model import CostModel
    from inference.entry import Entry

# Windows are kept in one heap per length class, this many tokens wide. When a hundred wait, classes
# of 8 tokens cost a tenth of the throughput in padding; narrower ones than 2 win nothing more
# (found with the simulator of benchmarks/scheduling).
_CLASS_TOKENS = 2
# The least part of its cost by which a batch moves the clock. Up to 32 large calls share evenly
# with those that come; beyond that those that come wait, and in exchange nobody waits for ever.
_LEAST_PROGRESS = 1 / 32
# An entry with less time left than this share of its predicted run is dropped: predictions err, by
# less than half.
_HOPELESS_SHARE = 0.5
# Abandoned entries beyond those that wait; more, and they are swept out before their turn.
_MOST_DEAD = 64
# What the gateway joins into one call, by default.
_ORDINARY_WINDOWS = 8


class Lane(Flow):
    """Entries of one model and priority; a flow of the fair share between the models.

    Args:
        costs: of the model.
    """

    __slots__ = (
        "_clock",
        "_dead",
        "_heaps",
        "_number",
        "costs",
        "due_tokens",
        "near_tokens",
        "waiting_entries",
        "waiting_tokens",
    )

    def __init__(self, costs: CostModel) -> None:
        super().__init__()
        self.costs = costs
        self.waiting_tokens = 0
        self.waiting_entries = 0
        self.due_tokens = 0  # of first windows: what is served before a call that comes now
        self.near_tokens = 0  # of the first windows of calls: before the last of an ordinary one
        self._heaps: dict[int, list[tuple[float, int, Entry]]] = {}  # by length class, none empty
        self._clock = 0.0
        self._number = 0  # breaks ties in order of arrival
        self._dead = 0  # abandoned, but still in a heap

    def put(self, entries: Sequence[Entry]) -> None:
        """Adds the windows of a call."""
        costs = self.costs.costs
        turn = self._clock
        for entry in entries:
            entry.turn = turn
            turn += costs.of(entry.tokens)
            heap = self._heaps.setdefault(entry.tokens // _CLASS_TOKENS, [])
            heapq.heappush(heap, (entry.turn, self._number, entry))
            self._number += 1
            entry.waiting = True
            self._count(entry, 1)

    def abandon(self, entry: Entry) -> None:
        """Gives up an entry whose caller has gone, if it waits."""
        if entry.waiting:
            entry.waiting = False
            self._count(entry, -1)
            self._dead += 1
            if not self.waiting_entries or self._dead > _MOST_DEAD + self.waiting_entries:
                self._sweep()

    def first(self, now_ns: int, late: list[Entry]) -> Entry | None:
        """The live entry with the earliest turn; it stays where it is. The late go to `late`."""
        while self._heaps:
            # Once a batch, some µs for a hundred lengths; a second heap would cost each entry more.
            entry = min(heap[0] for heap in self._heaps.values())[2]
            if self._is_live(entry, now_ns, late):
                return entry
            self._pop(entry.tokens // _CLASS_TOKENS)
        return None

    def form(self, first: Entry, bounds: Bounds, now_ns: int, late: list[Entry]) -> Batch:
        """Takes a batch out.

        Args:
            first: what `first` gave.
            bounds: of the batch.
            now_ns: the present.
            late: where entries go that are dropped on the way.
        """
        own = first.tokens // _CLASS_TOKENS
        batch = Batch(self._pop(own), bounds, self.costs.costs)
        self.costs.last_run_ns = now_ns
        classes = sorted(self._heaps)
        longer = bisect_left(classes, own)  # the own class is the first of these
        shorter = longer - 1
        # Who is refused at a distance would be further off, so each side ends at a refusal.
        while shorter >= 0 or longer < len(classes):
            if longer == len(classes) or (
                shorter >= 0 and own - classes[shorter] <= classes[longer] - own
            ):
                all_joined = self._join(classes[shorter], batch, now_ns, late)
                shorter = shorter - 1 if all_joined else -1
            else:
                all_joined = self._join(classes[longer], batch, now_ns, late)
                longer = longer + 1 if all_joined else len(classes)
        self._clock = max(self._clock + _LEAST_PROGRESS * batch.run_ns, first.turn)
        return batch

    def drain(self) -> list[Entry]:
        """Takes everything out that somebody waits for."""
        entries = [e for heap in self._heaps.values() for _, _, e in heap if e.waiting]
        for entry in entries:
            entry.waiting = False
        self._heaps.clear()
        self.waiting_tokens = self.waiting_entries = self._dead = 0
        self.due_tokens = self.near_tokens = 0
        return entries

    def _join(self, length_class: int, batch: Batch, now_ns: int, late: list[Entry]) -> bool:
        """Lets a length class join in the order of turns, until one is refused: then false."""
        while heap := self._heaps.get(length_class):
            entry = heap[0][2]
            if not self._is_live(entry, now_ns, late):
                self._pop(length_class)
            elif batch.accepts(entry.tokens, self.waiting_entries):
                batch.join(self._pop(length_class))
            else:
                return False
        return True

    def _is_live(self, entry: Entry, now_ns: int, late: list[Entry]) -> bool:
        """Whether to run an entry; if not, and somebody waits for it, it goes to `late`."""
        if not entry.waiting:
            return False
        if entry.expires_ns is None:
            return True
        left_ns = entry.expires_ns - now_ns
        needed_ns = self.costs.costs.of(entry.tokens) if self.costs.may_refuse(now_ns) else 0
        if left_ns > 0 and left_ns >= _HOPELESS_SHARE * needed_ns:
            return True
        late.append(entry)
        return False

    def _pop(self, length_class: int) -> Entry:
        heap = self._heaps[length_class]
        entry = heapq.heappop(heap)[2]
        if not heap:
            del self._heaps[length_class]
        if entry.waiting:
            entry.waiting = False
            self._count(entry, -1)
        else:
            self._dead -= 1
        return entry

    def _count(self, entry: Entry, sign: int) -> None:
        self.waiting_entries += sign
        self.waiting_tokens += sign * entry.tokens
        if entry.index == 0:
            self.due_tokens += sign * entry.tokens
        if entry.index < _ORDINARY_WINDOWS:
            self.near_tokens += sign * entry.tokens

    def _sweep(self) -> None:
        """Removes the dead from every heap."""
        for length_class, heap in list(self._heaps.items()):
            heap[:] = [item for item in heap if item[2].waiting]
            heapq.heapify(heap)
            if not heap:
                del self._heaps[length_class]
        self._dead = 0
