"""Which windows are run next: the decision alone, without threads, clock or model.

Rules:
  1. Interactive calls go before bulk, and bulk has a tenth of the time in any case.
  2. Among the models of a priority, each with work waiting has the same share of the time.
  3. Among the windows of a model, `lane` says whose turn it is and who joins the batch.
  4. While interactive calls come, a run of bulk is short: a call that has just missed a worker
     waits for no more than that.
  5. With several workers free, nobody takes more than a fair share of what waits.
  6. What may wait is bounded: in all, for one model, and for bulk; so neither one busy model nor
     bulk can close the door to the rest.
  7. Time is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from inference.batch import Bounds
from inference.core import Priority
from inference.cost_model import CostModel
from inference.fair_share import FairShare, Flow
from inference.lane import Lane

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from inference.batch import Batch
    from inference.entry import Entry, Runnable

_BULK_WEIGHT = 1 / 9
# What one model, or bulk, may fill of the queue when others have work waiting or may get some.
_MODEL_SHARE = 0.75
_BULK_SHARE = 0.5
# Interactive calls count as coming for so long after the last one: a person's next click.
_LATELY_NS = 1_000_000_000
# A short run of bulk: as long as two runs of a sentence alone. Shorter ones cost bulk more than
# they win for the others, longer ones bring their 99th percentile near three times that of idle.
_SENTENCE_TOKENS = 24
_SHORT_RUN_SENTENCES = 2
# Work that is certainly before a call must take this many times its time for it to be refused: a
# prediction that errs must not refuse what could be answered.
_CERTAINTY = 2


@dataclass(frozen=True, slots=True)
class Take:
    """What a worker gets: entries to run together, and entries that came too late."""

    batch: list[Entry] = field(default_factory=list)
    expired: list[Entry] = field(default_factory=list)


class _Class(Flow):
    """The lanes of one priority; a flow of the share between the priorities."""

    __slots__ = ("lanes", "waiting_tokens")

    def __init__(self, weight: float) -> None:
        super().__init__(weight)
        self.lanes: FairShare[Lane] = FairShare()
        self.waiting_tokens = 0


class _Backlog:
    """What is known of one model: its costs, and its lanes by priority."""

    __slots__ = ("costs", "lanes")

    def __init__(self) -> None:
        self.costs = CostModel()
        self.lanes = {priority: Lane(self.costs) for priority in Priority}

    @property
    def waiting_tokens(self) -> int:
        return sum(lane.waiting_tokens for lane in self.lanes.values())


class BatchQueue:
    """Windows that wait for a worker.

    Not safe for threads: its owner locks.

    Args:
        batch_tokens: most tokens in a batch, padding counted at its price; a longer window runs
            alone.
        limit_tokens: most tokens that may wait.
        model_limit_tokens: most tokens that may wait for one model; none: three quarters of all.
    """

    def __init__(
        self, batch_tokens: int, limit_tokens: int, model_limit_tokens: int | None = None
    ) -> None:
        self.batch_tokens = batch_tokens
        self.limit_tokens = limit_tokens
        self.model_limit_tokens = min(
            limit_tokens,
            int(_MODEL_SHARE * limit_tokens) if model_limit_tokens is None else model_limit_tokens,
        )
        self.bulk_limit_tokens = int(_BULK_SHARE * limit_tokens)
        self._backlogs: WeakKeyDictionary[Runnable, _Backlog] = WeakKeyDictionary()
        self._classes = {
            Priority.INTERACTIVE: _Class(1),
            Priority.BULK: _Class(_BULK_WEIGHT),
        }
        self._order: FairShare[_Class] = FairShare()
        self._short_until_ns = 0  # runs of bulk are short

    @property
    def waiting_tokens(self) -> int:
        """Tokens that somebody waits for."""
        return sum(one.waiting_tokens for one in self._classes.values())

    def waiting_tokens_of(self, session: Runnable) -> int:
        """Tokens of one model that somebody waits for."""
        return self._backlog(session).waiting_tokens

    def excess_tokens(
        self,
        tokens: int,
        session: Runnable | None = None,
        priority: Priority = Priority.INTERACTIVE,
    ) -> int:
        """How many tokens must be served before so many more may wait; at most 0: none.

        A model, and bulk, that has nothing waiting may put one call of any size that the queue
        holds.
        """
        excess = [self.waiting_tokens + tokens - self.limit_tokens]
        backlog = self._backlogs.get(session) if session is not None else None
        if backlog is not None and (of_model := backlog.waiting_tokens):
            excess.append(of_model + tokens - self.model_limit_tokens)
        of_bulk = self._classes[Priority.BULK].waiting_tokens
        if priority is Priority.BULK and of_bulk:
            excess.append(of_bulk + tokens - self.bulk_limit_tokens)
        return max(excess)

    def put(self, entries: Sequence[Entry], now_ns: int) -> None:
        """Adds the windows of one call; the caller has asked whether they may wait."""
        if not entries:
            return
        priority = entries[0].priority
        of_class = self._classes[priority]
        lane = self._backlog(entries[0].session).lanes[priority]
        before = lane.waiting_tokens
        lane.put(entries)
        of_class.waiting_tokens += lane.waiting_tokens - before
        of_class.lanes.join(lane)
        self._order.join(of_class)
        if priority is Priority.INTERACTIVE:
            self._short_until_ns = now_ns + _LATELY_NS

    def abandon(self, entries: Sequence[Entry]) -> None:
        """Gives up entries whose caller has gone; those that run already are left alone."""
        for entry in entries:
            lane = self._backlog(entry.session).lanes[entry.priority]
            before = lane.waiting_tokens
            lane.abandon(entry)
            self._classes[entry.priority].waiting_tokens += lane.waiting_tokens - before

    def take(self, now_ns: int, takers: int = 1) -> Take:
        """Takes the next batch out.

        Args:
            now_ns: the present, on the clock of the entries.
            takers: workers that are free now, this one among them; at least 1.

        Returns:
            A batch of one session and priority, none when nothing waits, and all entries dropped
            as late on the way. Abandoned entries vanish.
        """
        late: list[Entry] = []
        while (of_class := self._order.first()) is not None:
            while (lane := of_class.lanes.first()) is not None:
                before = lane.waiting_tokens
                batch = self._form(lane, now_ns, takers, late)
                of_class.waiting_tokens += lane.waiting_tokens - before
                if batch is not None:
                    of_class.lanes.serve(batch.run_ns)
                    self._order.serve(batch.run_ns)
                    return Take(batch.entries, late)
                of_class.lanes.leave()
            self._order.leave()
        return Take([], late)

    def drain(self) -> list[Entry]:
        """Takes everything out that somebody waits for."""
        for of_class in self._classes.values():
            of_class.waiting_tokens = 0
        return [entry for lane in self._lanes() for entry in lane.drain()]

    def observe(self, session: Runnable, lengths: Sequence[int], took_ns: int) -> None:
        """Learns from a run of a model: the lengths of its windows, and its time."""
        tokens = sum(lengths)
        padding = max(lengths) * len(lengths) - tokens
        self._backlog(session).costs.observe(tokens, len(lengths), padding, took_ns)

    def costs(self, session: Runnable) -> CostModel:
        """What is known of a model's costs."""
        return self._backlog(session).costs

    def drain_ns(self) -> float:
        """Predicted nanoseconds of one worker for all that waits, in full batches."""
        return sum(self._work_ns(lane, lane.waiting_tokens) for lane in self._lanes())

    def wait_ns(self, session: Runnable | None = None) -> float:
        """Predicted nanoseconds of one worker before an interactive call that comes now is done.

        Counted is what has its turn before the last window of an ordinary call, as `lane` knows it:
        of a book that waits only its beginning, because the rest lets others pass. Other models
        take as much time as this one until they have nothing left; bulk takes a tenth, left out.

        Args:
            session: the model that is asked for; none: whichever waits longest.
        """
        waits = {s: self._near_ns(b) for s, b in self._backlogs.items()}
        own = waits.get(session, 0.0) if session is not None else max(waits.values(), default=0.0)
        return sum(min(own, wait) for wait in waits.values())

    def is_hopeless(self, entries: Sequence[Entry], now_ns: int, workers: int) -> bool:
        """Whether a call of these windows can clearly not be answered by its deadline.

        Counted is only what is certain: its own work, and the calls of its model and priority
        that are served before it.

        Args:
            entries: all windows of the call.
            now_ns: the present.
            workers: that run batches.
        """
        expires_ns = entries[0].expires_ns
        if expires_ns is None:
            return False
        if expires_ns <= now_ns:
            return True
        backlog = self._backlog(entries[0].session)
        if not backlog.costs.may_refuse(now_ns):
            return False
        lane = backlog.lanes[entries[0].priority]
        work_ns = self._work_ns(lane, lane.due_tokens + sum(entry.tokens for entry in entries))
        longest_ns = backlog.costs.costs.of(max(entry.tokens for entry in entries))
        return max(work_ns / workers, longest_ns) > _CERTAINTY * (expires_ns - now_ns)

    def _form(self, lane: Lane, now_ns: int, takers: int, late: list[Entry]) -> Batch | None:
        """Takes a lane's next batch out; none: nothing in it is to be run."""
        share = -(-self.waiting_tokens // takers)
        first = lane.first(now_ns, late)
        if first is None:
            return None
        run_ns = None
        if first.priority is Priority.BULK and now_ns < self._short_until_ns:
            run_ns = _SHORT_RUN_SENTENCES * lane.costs.costs.of(_SENTENCE_TOKENS)
        return lane.form(first, Bounds(min(self.batch_tokens, share), run_ns), now_ns, late)

    def _near_ns(self, backlog: _Backlog) -> float:
        lane = backlog.lanes[Priority.INTERACTIVE]
        return self._work_ns(lane, lane.near_tokens) if lane.near_tokens else 0.0

    def _work_ns(self, lane: Lane, tokens: int) -> float:
        """Least time of one worker for so many tokens: full batches without padding."""
        return lane.costs.costs.of(tokens, 0, 0, tokens / self.batch_tokens)

    def _lanes(self) -> Iterator[Lane]:
        for backlog in self._backlogs.values():
            yield from backlog.lanes.values()

    def _backlog(self, session: Runnable) -> _Backlog:
        backlog = self._backlogs.get(session)
        if backlog is None:
            backlog = self._backlogs[session] = _Backlog()
        return backlog
