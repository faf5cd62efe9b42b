"""A machine that exists only in numbers: callers, a policy, and workers whose runs cost time."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.scheduling.policies import Job
from benchmarks.scheduling.workloads import Callers, gaps_ns, lengths, mean_sentence_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.scheduling.policies import Policy
    from inference.cost_model import Costs

WORKERS = 2
_NS_PER_S = 1_000_000_000
# A run's time varies by some per cent around its price.
_NOISE = 0.08
# From an answer to the caller's next call: both ends' share of gRPC, tokenizing and decoding.
_BACK_NS = (300_000, 1_200_000)
_CEILING_ROWS = 32


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one policy did with one workload."""

    of_ceiling: float  # texts served in the time, by what sorted batches would allow
    p50_ms: float  # of the first group of callers
    p99_ms: float
    padding: float  # share of all tokens that were run
    rows: float  # mean batch
    bulk_share: float  # of the texts that were served, those not of the first group


def ceiling_texts_per_s(costs: Costs) -> float:
    """Sentences in sorted batches without padding, on all workers."""
    sentence = mean_sentence_tokens()
    batch_ns = costs.of(round(sentence * _CEILING_ROWS), _CEILING_ROWS)
    return WORKERS * _CEILING_ROWS * _NS_PER_S / batch_ns


def simulate(
    policy: Policy, groups: Sequence[Callers], costs: Costs, seconds: float, seed: int
) -> Outcome:
    """Runs a workload under a policy; the first tenth of the time is not counted."""
    machine = _Machine(policy, groups, costs, seed)
    machine.run_until(int(seconds * _NS_PER_S))
    return machine.outcome(int(seconds * _NS_PER_S))


@dataclass(slots=True)
class _Call:
    group: int
    sent_ns: int
    missing: int


@dataclass(slots=True)
class _Tally:
    latencies_ms: list[list[float]]
    texts: list[int]
    text_tokens: int = 0
    padded_tokens: int = 0
    rows: list[int] = field(default_factory=list)


class _Machine:
    """Events in time: calls that come, runs that end, timers that fire."""

    def __init__(self, policy: Policy, groups: Sequence[Callers], costs: Costs, seed: int) -> None:
        self._policy, self._groups, self._costs = policy, groups, costs
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self._events: list[tuple[int, int, str, object]] = []
        self._number = self._next_call = 0
        self._free = WORKERS
        self._calls: dict[int, _Call] = {}
        self._warm_ns = 0
        self._tally = _Tally([[] for _ in groups], [0] * len(groups))
        self._gaps: dict[int, Iterator[int]] = {}
        for index, group in enumerate(groups):
            for _ in range(group.callers):
                self._at(self._chance.randrange(2_000_000), "call", index)
            if group.load:
                rate = group.load * ceiling_texts_per_s(costs) / group.texts
                self._gaps[index] = gaps_ns(self._chance, rate)
                self._at(next(self._gaps[index]), "call", index)

    def run_until(self, end_ns: int) -> None:
        """Handles all events up to a time."""
        self._warm_ns = end_ns // 10
        while self._events and self._events[0][0] <= end_ns:
            now_ns, _, kind, what = heapq.heappop(self._events)
            if kind == "call":
                assert isinstance(what, int)  # noqa: S101 - narrows a type
                self._come(what, now_ns)
            elif kind == "end":
                assert isinstance(what, list)  # noqa: S101 - narrows a type
                self._free += 1
                self._finish(what, now_ns)
            self._dispatch(now_ns)

    def outcome(self, end_ns: int) -> Outcome:
        """What was counted."""
        tally = self._tally
        seconds = (end_ns - self._warm_ns) / _NS_PER_S
        shown = tally.latencies_ms[0] or [float("nan")]
        # By tokens, so that books and sentences count alike.
        rate = tally.text_tokens / mean_sentence_tokens() / seconds
        return Outcome(
            of_ceiling=rate / ceiling_texts_per_s(self._costs),
            p50_ms=float(np.percentile(shown, 50)),
            p99_ms=float(np.percentile(shown, 99)),
            padding=1 - tally.text_tokens / max(1, tally.padded_tokens),
            rows=float(np.mean(tally.rows or [0])),
            bulk_share=sum(tally.texts[1:]) / max(1, sum(tally.texts)),
        )

    def _at(self, time_ns: int, kind: str, what: object) -> None:
        heapq.heappush(self._events, (time_ns, self._number, kind, what))
        self._number += 1

    def _come(self, index: int, now_ns: int) -> None:
        group = self._groups[index]
        if index in self._gaps:
            self._at(now_ns + next(self._gaps[index]), "call", index)
        number = self._next_call
        self._next_call += 1
        self._calls[number] = _Call(index, now_ns, group.texts)
        self._policy.put(
            [
                Job(tokens, number, now_ns, group.priority, group.model)
                for tokens in lengths(self._chance, group)
            ],
            now_ns,
        )

    def _dispatch(self, now_ns: int) -> None:
        while self._free and (batch := self._policy.take(now_ns, self._free)):
            self._free -= 1
            tokens = sum(job.tokens for job in batch)
            padded = max(job.tokens for job in batch) * len(batch)
            noise = self._chance.lognormvariate(0, _NOISE)
            took_ns = int(noise * self._costs.of(tokens, len(batch), padded - tokens))
            self._policy.observe(batch, took_ns)
            self._at(now_ns + took_ns, "end", batch)
            if now_ns >= self._warm_ns:
                self._tally.text_tokens += tokens
                self._tally.padded_tokens += padded
                self._tally.rows.append(len(batch))
        wake_ns = self._policy.wake_ns()
        if self._free and wake_ns is not None and wake_ns > now_ns:
            self._at(wake_ns, "timer", None)

    def _finish(self, batch: list[Job], now_ns: int) -> None:
        for job in batch:
            call = self._calls[job.call]
            call.missing -= 1
            if now_ns >= self._warm_ns:
                self._tally.texts[call.group] += 1
            if call.missing:
                continue
            del self._calls[job.call]
            if call.sent_ns >= self._warm_ns:
                self._tally.latencies_ms[call.group].append((now_ns - call.sent_ns) / 1e6)
            if call.group not in self._gaps:
                self._at(now_ns + self._chance.randint(*_BACK_NS), "call", call.group)
