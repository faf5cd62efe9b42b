"""What the queue's own decisions take, by how much waits."""

import asyncio
import random
import time

import numpy as np

from benchmarks.scheduling.policies import BATCH_TOKENS, IdleModel
from benchmarks.scheduling.workloads import Callers, lengths
from inference.batch_queue import BatchQueue
from inference.core import Priority
from inference.entry import Entry
from inference.reply import Reply

_DEPTHS = (10, 100, 1_000, 10_000)
_LEAST_ENTRIES = 20_000
_IDS = np.zeros(512, dtype=np.int64)


def print_queue_time() -> None:
    """Prints microseconds an entry for putting and taking, for one model and for a hundred."""
    print("models   depth  put µs/entry  take µs/entry  take µs/batch")
    for models in (1, 100):
        for depth in _DEPTHS:
            put_s, take_s, batches, entries = _measure(depth, models)
            print(
                f"{models:6}  {depth:6}  {put_s / entries * 1e6:12.2f}"
                f"  {take_s / entries * 1e6:13.2f}  {take_s / batches * 1e6:13.1f}"
            )


def _measure(depth: int, models: int) -> tuple[float, float, int, int]:
    """Fills a queue to a depth, single calls of both priorities, and empties it, many times."""
    chance = random.Random(1)  # noqa: S311 - no secret
    loop = asyncio.new_event_loop()
    reply = Reply(1, loop)
    loop.close()
    sessions = [IdleModel() for _ in range(models)]
    queue = BatchQueue(BATCH_TOKENS, 10**9, 10**9)
    sizes = lengths(chance, Callers("", texts=depth))
    put_s = take_s = 0.0
    batches = entries = 0
    while entries < _LEAST_ENTRIES:
        calls = [
            [
                Entry(
                    sessions[i % models],
                    _IDS[:tokens],
                    reply,
                    0,
                    0,
                    None,
                    Priority.BULK if i % 4 == 0 else Priority.INTERACTIVE,
                )
            ]
            for i, tokens in enumerate(sizes)
        ]
        started = time.perf_counter()
        for call in calls:
            queue.put(call, 0)
        put_s += time.perf_counter() - started
        started = time.perf_counter()
        while queue.take(0).batch:
            batches += 1
        take_s += time.perf_counter() - started
        entries += depth
    return put_s, take_s, batches, entries
