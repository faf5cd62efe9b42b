"""A closed loop of callers: each sends its next sentence when its last one is answered."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np

Send = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Load:
    """What the callers saw."""

    sentences_per_s: float
    p50_ms: float
    p99_ms: float


async def drive(send: Send, sentences: Sequence[str], callers: int) -> Load:
    """Sends every sentence once.

    Args:
        send: sends one sentence and waits for its answer; raises when it is not answered.
        sentences: the corpus.
        callers: how many send at the same time.
    """
    remaining = iter(sentences)
    times_ns: list[int] = []

    async def caller() -> None:
        for sentence in remaining:
            started = time.perf_counter_ns()
            await send(sentence)
            times_ns.append(time.perf_counter_ns() - started)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    took_s = time.perf_counter() - started
    p50, p99 = np.percentile(times_ns, [50, 99]) / 1e6
    return Load(len(sentences) / took_s, float(p50), float(p99))
