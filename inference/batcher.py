"""The loop that runs batches: worker threads that take from the queue and deliver to replies.

A free worker takes at once what waits; there is no timer. While all workers run, calls gather in
the queue and the next batch is larger: load itself makes the batches.
"""

from __future__ import annotations

import threading
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inference.core import Priority
from inference.delivery import deliver
from inference.errors import DeadlineExceeded, Draining, InferenceFailed, QueueFull
from inference.gauges import QueueReading
from inference.metrics import BatchRun
from inference.reply import WindowScores
from inference.run_watch import RunWatch
from inference.thread_priority import give_way
from telemetry import logs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from inference.batch_queue import BatchQueue, Take
    from inference.entry import Entry, Runnable
    from inference.metrics import Metrics
    from inference.reply import Outcome
    from inference.tracing import CallSpans
    from telemetry.trace_context import TraceContext

_log = logs.get_logger(__name__)

_LEAST_RETRY_S = 0.05
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Patience:
    """What a batcher takes for too long, in nanoseconds."""

    max_wait_ns: int | None = None  # predicted wait of an interactive call; none: any
    hang_ns: int = 10 * _NS_PER_S  # the least time of a run that hangs
    look_ns: int = _NS_PER_S // 4  # about how often `hanging` is asked


_PATIENCE = Patience()


class Batcher:
    """Owns the worker threads; entries come from an event loop, outcomes go back to it.

    Args:
        queue: the waiting entries; the batcher alone touches it from now on.
        workers: concurrent model runs; at least 1.
        metrics: where runs are counted.
        clock_ns: monotonic nanoseconds.
        patience: what counts as too long.
        spans: records runs in traces; None: there are none.
    """

    def __init__(
        self,
        queue: BatchQueue,
        workers: int,
        metrics: Metrics,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        patience: Patience = _PATIENCE,
        spans: CallSpans | None = None,
    ) -> None:
        self._spans = spans
        self._queue = queue
        self._max_wait_ns = patience.max_wait_ns
        self._watch = RunWatch(patience.hang_ns, patience.look_ns)
        self._metrics = metrics
        self._clock_ns = clock_ns
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name=f"worker-{i}", daemon=True)
            for i in range(workers)
        ]
        self._models: weakref.WeakKeyDictionary[Runnable, str] = weakref.WeakKeyDictionary()
        self._free = 0
        self._closing = False
        metrics.waiting_tokens.set_function(lambda: float(queue.waiting_tokens))
        metrics.drain_seconds.set_function(self._drain_s)
        metrics.queue_limit_tokens.set(queue.limit_tokens)
        metrics.workers.set(workers)
        metrics.busy_workers.set_function(self._busy)
        metrics.queue.follow(self._reading)

    def start(self) -> None:
        """Starts the workers; call once, and `close` at the end."""
        for thread in self._threads:
            thread.start()

    def check_admission(
        self,
        tokens: int = 0,
        session: Runnable | None = None,
        priority: Priority = Priority.INTERACTIVE,
    ) -> None:
        """Refuses at the door what could not be queued.

        Args:
            tokens: size of the call, or 0 while it is not known.
            session: the model that it asks for, if known.
            priority: of the call.

        Raises:
            QueueFull: so many tokens more may not wait now, or the wait would be too long.
        """
        excess = self._queue.excess_tokens(max(tokens, 1), session, priority)
        if excess > 0:
            # All that waits drains at one rate; the part that is too much, at the same.
            waiting = max(self._queue.waiting_tokens, excess)
            raise QueueFull(max(_LEAST_RETRY_S, self._drain_s() * excess / waiting))
        if self._max_wait_ns is not None and priority is Priority.INTERACTIVE:
            # However large the call itself is: one that meets nobody is always admitted.
            with self._changed:
                wait_ns = self._queue.wait_ns(session) / len(self._threads)
            if wait_ns > self._max_wait_ns:
                raise QueueFull(max(_LEAST_RETRY_S, (wait_ns - self._max_wait_ns) / _NS_PER_S))

    def submit(self, entries: Sequence[Entry]) -> None:
        """Queues all entries of a call, or none.

        Args:
            entries: of one call; at least one.

        Raises:
            QueueFull: they do not fit in the queue.
            DeadlineExceeded: their deadline clearly cannot be met.
            Draining: the batcher is closed.
        """
        tokens = sum(entry.tokens for entry in entries)
        first = entries[0]
        with self._changed:
            if self._closing:
                raise Draining
            self.check_admission(tokens, first.session, first.priority)
            now_ns = self._clock_ns()
            if self._queue.is_hopeless(entries, now_ns, len(self._threads)):
                self._metrics.dropped("hopeless", len(entries))
                raise DeadlineExceeded
            self._queue.put(entries, now_ns)
            self._changed.notify(min(len(entries), len(self._threads)))

    def abandon(self, entries: Sequence[Entry]) -> None:
        """Drops the entries of a caller who has gone; what already runs is not stopped."""
        with self._changed:
            dropped = sum(entry.waiting for entry in entries)
            self._queue.abandon(entries)
        if dropped:
            self._metrics.dropped("abandoned", dropped)

    def hanging(self, now_ns: int) -> int:
        """How many workers hang in a run, or have died of an error and run nothing any more.

        Only for one caller, about every `Patience.look_ns`, from `start` on.
        """
        died = sum(not thread.is_alive() for thread in self._threads)
        # Asked afterwards: workers end once it is closing.
        return self._watch.hanging(now_ns) + (0 if self._closing else died)

    def close(self, timeout_s: float | None = None) -> bool:
        """Refuses what still waits, lets the runs end and joins the workers; may be repeated.

        Args:
            timeout_s: the most time for that; a run that hangs is left to itself.

        Returns:
            Whether every worker has ended.
        """
        with self._changed:
            self._closing = True
            left = self._queue.drain()
            self._changed.notify_all()
        deliver([(entry, Draining()) for entry in left])
        end_s = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in self._threads:
            if thread.is_alive():
                thread.join(None if end_s is None else max(0.0, end_s - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        give_way()
        while self._work_once():
            pass

    def _work_once(self) -> bool:
        """Runs or refuses what is next; false when the batcher closes.

        A call of its own for each batch: a worker that still held the last one while it waits would
        keep its model in memory, however long ago that was unloaded.
        """
        taken = self._next()
        if taken is None:
            return False
        if taken.expired:
            self._metrics.dropped("expired", len(taken.expired))
            deliver([(entry, DeadlineExceeded()) for entry in taken.expired])
        if taken.batch:
            deliver(self._run(taken.batch))
        return True

    def _next(self) -> Take | None:
        """Waits for something to run or to refuse; none when the batcher closes."""
        with self._changed:
            self._free += 1
            try:
                while not self._closing:
                    take = self._queue.take(self._clock_ns(), self._free)
                    if take.batch or take.expired:
                        return take
                    self._changed.wait()
                return None
            finally:
                self._free -= 1

    def _run(self, batch: list[Entry]) -> list[tuple[Entry, Outcome]]:
        """Runs a batch; if that fails, each window alone, so that only the guilty one fails."""
        try:
            return list(zip(batch, self._scores(batch), strict=True))
        except Exception as error:  # noqa: BLE001 - whatever a run raises belongs to its callers
            if len(batch) > 1:
                _log.warning("batch_failed_and_is_run_singly", windows=len(batch))
                return [pair for entry in batch for pair in self._run([entry])]
            _log.error("window_failed", tokens=batch[0].tokens, error=type(error).__name__)
            return [(batch[0], InferenceFailed())]

    def _scores(self, batch: list[Entry]) -> list[WindowScores]:
        started_ns = self._clock_ns()
        longest = max(entry.tokens for entry in batch)
        ids = np.zeros((len(batch), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, entry in enumerate(batch):
            ids[row, : entry.tokens] = entry.ids
            mask[row, : entry.tokens] = 1
        worker = threading.get_ident()
        self._watch.begin(worker, self._predicted_ns(batch, ids.size), started_ns)
        try:
            logits = batch[0].session.run(ids, mask)
        finally:
            self._watch.end(worker)
        took_ns = self._clock_ns() - started_ns
        _check_finite(logits, mask)
        self._measure(batch, ids.size, took_ns)
        span = None if self._spans is None else _record(self._spans, batch, started_ns, took_ns)
        return [
            WindowScores(logits[row, : entry.tokens], started_ns - entry.queued_ns, took_ns, span)
            for row, entry in enumerate(batch)
        ]

    def _predicted_ns(self, batch: list[Entry], padded_tokens: int) -> float:
        tokens = sum(entry.tokens for entry in batch)
        with self._changed:
            costs = self._queue.costs(batch[0].session).costs
        return costs.of(tokens, len(batch), padded_tokens - tokens)

    def _measure(self, batch: list[Entry], padded_tokens: int, took_ns: int) -> None:
        lengths = [entry.tokens for entry in batch]
        with self._changed:
            self._queue.observe(batch[0].session, lengths, took_ns)
            self._models[batch[0].session] = batch[0].model
        first = batch[0]
        self._metrics.batch(
            BatchRun(first.model, first.priority, len(batch), sum(lengths), padded_tokens, took_ns)
        )

    def _drain_s(self) -> float:
        """Predicted seconds until the workers have run all that waits."""
        with self._changed:
            return self._queue.drain_ns() / len(self._threads) / _NS_PER_S

    def _busy(self) -> float:
        """Workers that run a batch or hand out its outcomes."""
        return float(sum(thread.is_alive() for thread in self._threads) - self._free)

    def _reading(self) -> QueueReading:
        """The fitted costs of each model that has run, and what waits for it."""
        with self._changed:
            named = list(self._models.items())
            return QueueReading(
                {name: self._queue.costs(session).costs for session, name in named},
                {name: self._queue.waiting_tokens_of(session) for session, name in named},
            )


def _check_finite(logits: NDArray[np.float32], mask: NDArray[np.int64]) -> None:
    """Refuses scores from which no label can be told; those of padding may be anything.

    Minus infinity alone is a score: of a label that the model rules out.

    Raises:
        FloatingPointError: a token's best score is not a number, or not finite.
    """
    if not (np.isfinite(logits.max(axis=2)) | (mask == 0)).all():
        raise FloatingPointError("the model gave scores that are not finite")


def _record(
    spans: CallSpans, batch: Sequence[Entry], started_ns: int, took_ns: int
) -> TraceContext | None:
    attributes = {
        "nerve.model": batch[0].model,
        "nerve.windows": len(batch),
        "nerve.tokens": sum(entry.tokens for entry in batch),
        "nerve.padded_tokens": len(batch) * max(entry.tokens for entry in batch),
        "nerve.priority": batch[0].priority.value,
    }
    return spans.batch([entry.reply.origin for entry in batch], started_ns, took_ns, attributes)
