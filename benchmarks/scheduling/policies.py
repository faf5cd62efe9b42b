"""Ways to choose what is run next, for the simulator: simple ones, a former one, and ours."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from inference.batch_queue import BatchQueue
from inference.core import Priority
from inference.entry import Entry
from inference.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BATCH_TOKENS = 256
_UNBOUNDED_TOKENS = 10**9
_IDS = np.zeros(512, dtype=np.int64)


@dataclass(slots=True, eq=False)
class Job:
    """One text in the simulator."""

    tokens: int
    call: int
    arrived_ns: int
    priority: Priority
    model: int


class Policy(Protocol):
    """What a simulated worker asks."""

    def put(self, jobs: Sequence[Job], now_ns: int) -> None:
        """Adds the texts of a call."""

    def take(self, now_ns: int, takers: int) -> list[Job]:
        """Takes a batch out for one of the free workers; none: wait."""
        ...

    def wake_ns(self) -> int | None:
        """When to ask again though nothing has come; none: only when something comes."""
        ...

    def observe(self, jobs: Sequence[Job], took_ns: int) -> None:
        """Learns what a batch has taken."""


class Fifo:
    """In order of arrival, padded to the longest.

    Args:
        rows: most texts in a batch.
        tokens: most padded tokens in a batch.
        wait_ns: how long the oldest may wait for a full batch; 0: no timer.
    """

    def __init__(self, rows: int, tokens: int = BATCH_TOKENS, wait_ns: int = 0) -> None:
        self._rows, self._tokens, self._wait_ns = rows, tokens, wait_ns
        self._jobs: deque[Job] = deque()

    def put(self, jobs: Sequence[Job], now_ns: int) -> None:
        """Appends."""
        self._jobs.extend(jobs)

    def take(self, now_ns: int, takers: int) -> list[Job]:
        """Takes from the front; a timer waits for more."""
        due = self.wake_ns()
        if due is not None and now_ns < due and len(self._jobs) < self._rows:
            return []
        batch: list[Job] = []
        longest = 0
        while self._jobs and len(batch) < self._rows:
            longest = max(longest, self._jobs[0].tokens)
            if batch and longest * (len(batch) + 1) > self._tokens:
                break
            batch.append(self._jobs.popleft())
        return batch

    def wake_ns(self) -> int | None:
        """When the oldest has waited long enough."""
        return self._jobs[0].arrived_ns + self._wait_ns if self._jobs and self._wait_ns else None

    def observe(self, jobs: Sequence[Job], took_ns: int) -> None:
        """Learns nothing."""


class LengthClasses:
    """The former policy: turns fixed at arrival, a fixed share of padding, no priorities.

    Source: inference/batch_queue.py at commit 9fd3990.
    """

    _CLASS_TOKENS, _LEAST_FILL, _TOKENS_PER_S = 8, 0.75, 4_000 * 2

    def __init__(self) -> None:
        self._lanes: dict[tuple[int, int], list[tuple[float, int, Job]]] = {}
        self._number = self._waiting_tokens = 0

    def put(self, jobs: Sequence[Job], now_ns: int) -> None:
        """Gives each text its turn."""
        turn_ns = float(now_ns)
        for job in jobs:
            key = (job.model, job.tokens // self._CLASS_TOKENS)
            heapq.heappush(self._lanes.setdefault(key, []), (turn_ns, self._number, job))
            self._number += 1
            self._waiting_tokens += job.tokens
            turn_ns += job.tokens * 1e9 / self._TOKENS_PER_S

    def take(self, now_ns: int, takers: int) -> list[Job]:
        """Takes the earliest turn, and those of near-equal length, nearest class first."""
        if not self._lanes:
            return []
        first = min(self._lanes, key=lambda key: self._lanes[key][0])
        share = -(-self._waiting_tokens // takers)
        batch = [self._pop(first)]
        budget = min(BATCH_TOKENS, max(share, batch[0].tokens))
        shortest = longest = batch[0].tokens
        near = [key for key in self._lanes if key[0] == first[0]]
        for key in sorted(near, key=lambda key: (abs(key[1] - first[1]), key[1])):
            while lane := self._lanes.get(key):
                tokens = lane[0][2].tokens
                row, least = max(longest, tokens), min(shortest, tokens)
                if row * (len(batch) + 1) > budget or least < self._LEAST_FILL * row:
                    break
                batch.append(self._pop(key))
                longest, shortest = row, least
        return batch

    def wake_ns(self) -> int | None:
        """No timer."""
        return None

    def observe(self, jobs: Sequence[Job], took_ns: int) -> None:
        """Learns nothing."""

    def _pop(self, key: tuple[int, int]) -> Job:
        job = heapq.heappop(self._lanes[key])[2]
        if not self._lanes[key]:
            del self._lanes[key]
        self._waiting_tokens -= job.tokens
        return job


class IdleModel:
    """A model that is only told apart from others."""

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Is never called."""
        raise NotImplementedError


class Served:
    """The queue of the service itself.

    Args:
        priorities: whether calls keep their priority; if not, all are interactive.
    """

    def __init__(self, *, priorities: bool = True) -> None:
        self.queue = BatchQueue(BATCH_TOKENS, _UNBOUNDED_TOKENS, _UNBOUNDED_TOKENS)
        self._priorities = priorities
        self._sessions = [IdleModel(), IdleModel()]
        loop = asyncio.new_event_loop()
        self._reply = Reply(1, loop)
        loop.close()
        self._jobs: dict[Entry, Job] = {}

    def put(self, jobs: Sequence[Job], now_ns: int) -> None:
        """Queues entries in the jobs' place."""
        entries = []
        for index, job in enumerate(jobs):
            priority = job.priority if self._priorities else Priority.INTERACTIVE
            session, ids = self._sessions[job.model], _IDS[: job.tokens]
            entries.append(Entry(session, ids, self._reply, index, now_ns, None, priority))
            self._jobs[entries[-1]] = job
        self.queue.put(entries, now_ns)

    def take(self, now_ns: int, takers: int) -> list[Job]:
        """Takes what the queue gives."""
        return [self._jobs.pop(entry) for entry in self.queue.take(now_ns, takers).batch]

    def wake_ns(self) -> int | None:
        """No timer."""
        return None

    def observe(self, jobs: Sequence[Job], took_ns: int) -> None:
        """Lets the queue's cost model learn."""
        lengths = [job.tokens for job in jobs]
        self.queue.observe(self._sessions[jobs[0].model], lengths, took_ns)
