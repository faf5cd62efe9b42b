"""What callers saw: times, failures and some of the answers, as cheaply as they can be kept."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

import numpy as np

from benchmarks.caller import Ended
from benchmarks.protocol import LEFT, Call

# A few answers from all over the run are looked at; a prime, so as not to follow a pattern. In long
# runs it doubles as often as the samples are too many.
_SAMPLE_EVERY = 101
_MOST_SAMPLES = 50
_NS_PER_MS = 1e6
_NS_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class Load:
    """What the callers saw from the begin of a measurement to its end."""

    calls: int  # ended well in the time
    sentences: int  # in those calls
    sentences_per_s: float
    p50_ms: float  # of the calls meant to be sent in the time, from that instant on
    p90_ms: float
    p99_ms: float
    late_p99_ms: float  # how much later than meant the generator itself sent; open loop only
    generator_cpu_s: float
    failures: dict[str, int] = field(default_factory=dict)  # status → calls, warm-up included
    total_calls: int = 0  # all that ended, warm-up included

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def of(cls, line: dict[str, Any]) -> Self:
        """Reads what `as_dict` gave; more fields do no harm."""
        return cls(**{key.name: line[key.name] for key in fields(cls)})


class Recorder:
    """Collects the calls that ended."""

    def __init__(self) -> None:
        self.samples: list[tuple[Call, bytes]] = []
        self.failures: Counter[int] = Counter()
        self.late_ns: list[int] = []
        self.ended = 0
        self._next_sample = 0
        self._sample_every = _SAMPLE_EVERY
        self._intended_ns: list[int] = []
        self._finished_ns: list[int] = []
        self._texts: list[int] = []

    def wants_sample(self) -> bool:
        """Whether the answer that ends now should be looked at later."""
        return self.ended >= self._next_sample

    def sample(self, call: Call, body: bytes) -> None:
        """Keeps an answer to be looked at later; every second one when there are too many."""
        self.samples.append((call, body))
        if len(self.samples) > _MOST_SAMPLES:
            del self.samples[1::2]
            self._sample_every *= 2
        self._next_sample = self.ended + self._sample_every

    def record(self, ended: Ended, finished_ns: int) -> None:
        """Takes a call that ended."""
        call, intended_ns, status = ended
        self.ended += 1
        if status in call.accepts:
            self._intended_ns.append(intended_ns)
            self._finished_ns.append(finished_ns)
            self._texts.append(call.texts)
        elif status != LEFT:
            self.failures[status] += 1

    def load(self, begin_ns: int, end_ns: int, generator_cpu_s: float) -> Load:
        """Sums up what happened between two instants.

        Raises:
            ValueError: no call ended well in that time.
        """
        intended, finished = np.array(self._intended_ns), np.array(self._finished_ns)
        if not finished.size or finished.max() < begin_ns:
            raise ValueError(f"no call was answered; failures by status: {dict(self.failures)}")
        # Calls that take longer than the time do not leave it empty.
        end_ns = max(end_ns, int(finished[finished >= begin_ns].min()) + 1)
        within = (finished >= begin_ns) & (finished < end_ns)
        meant = (intended >= begin_ns) & (intended < end_ns)
        meant = meant if meant.any() else within
        sentences = int(np.array(self._texts)[within].sum())
        times_ms = (finished - intended)[meant] / _NS_PER_MS
        p50, p90, p99 = np.percentile(times_ms, [50, 90, 99]).tolist()
        return Load(
            calls=int(within.sum()),
            sentences=sentences,
            sentences_per_s=sentences * _NS_PER_S / (end_ns - begin_ns),
            p50_ms=p50,
            p90_ms=p90,
            p99_ms=p99,
            late_p99_ms=_p99_ms(self.late_ns),
            generator_cpu_s=generator_cpu_s,
            failures={str(status): count for status, count in self.failures.items()},
            total_calls=self.ended,
        )


def _p99_ms(times_ns: Sequence[int]) -> float:
    return float(np.percentile(times_ns, 99)) / _NS_PER_MS if times_ns else 0.0
