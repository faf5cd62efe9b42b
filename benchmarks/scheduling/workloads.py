"""Who calls, how often, and with how much: seeded arrivals for the simulator."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from inference.core import Priority

# Sentences of newspaper text: 21 tokens on average, a twentieth over 45.
_LOG_MEAN, _LOG_DEVIATION = 2.9, 0.5
_SHORTEST, _LONGEST = 5, 128


@dataclass(frozen=True, slots=True)
class Callers:
    """Alike callers. Each waits for its answer, or calls come at a rate whether or not.

    A closed loop has `callers`; an open one has `load`, as a share of what the workers can do.
    """

    name: str
    callers: int = 0
    load: float = 0.0
    texts: int = 1  # in a call
    priority: Priority = Priority.INTERACTIVE
    model: int = 0
    tokens: int | None = None  # of each text; none: as sentences are


def lengths(chance: random.Random, callers: Callers) -> list[int]:
    """Tokens of each text of one call."""
    return [callers.tokens or _sentence(chance) for _ in range(callers.texts)]


def mean_sentence_tokens() -> float:
    """Average length of a sentence here."""
    chance = random.Random(0)  # noqa: S311 - no secret
    return sum(_sentence(chance) for _ in range(20_000)) / 20_000


def gaps_ns(chance: random.Random, calls_per_s: float) -> Iterator[int]:
    """Time between calls of a Poisson process, without end."""
    while True:
        yield int(chance.expovariate(calls_per_s) * 1e9)


def _sentence(chance: random.Random) -> int:
    tokens = round(math.exp(chance.gauss(_LOG_MEAN, _LOG_DEVIATION)))
    return max(_SHORTEST, min(_LONGEST, tokens))


def _closed(callers: int) -> tuple[Callers, ...]:
    return (Callers("sentence", callers=callers),)


def _open(load: float) -> tuple[Callers, ...]:
    return (Callers("sentence", load=load),)


_CLICKS = Callers("sentence", load=0.1)

# The first group of each is the one whose latencies are shown.
WORKLOADS: dict[str, tuple[Callers, ...]] = {
    "closed 1": _closed(1),
    "closed 8": _closed(8),
    "closed 32": _closed(32),
    "closed 128": _closed(128),
    "open 50 %": _open(0.5),
    "open 80 %": _open(0.8),
    "open 120 %": _open(1.2),
    "clicks, idle": (_CLICKS,),
    "clicks beside bulk": (
        _CLICKS,
        Callers("bulk", callers=8, texts=32, priority=Priority.BULK),
    ),
    "clicks beside 120 % clicks and bulk": (
        Callers("sentence", load=1.2),
        Callers("bulk", callers=8, texts=32, priority=Priority.BULK),
    ),
    "clicks beside large calls": (_CLICKS, Callers("large", callers=8, texts=200)),
    "clicks beside books": (_CLICKS, Callers("book", callers=2, texts=200, tokens=128)),
    "model beside a busy one": (
        Callers("quiet", callers=1),
        Callers("busy", callers=128, model=1),
    ),
}
