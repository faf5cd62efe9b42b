"""The scenarios of a benchmark: which ways in, how many callers, which texts, how long."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.many_models import ManyModelsLoad
from benchmarks.ways import Way

CONNECTIONS = (1, 8, 32, 128)
_BULK_TEXTS = 32
# A stream is made to carry many calls: a few streams share the calls under way.
_MOST_STREAMS = 4
# Enough that an arrival seldom finds all taken while the service keeps up.
_OPEN_CONNECTIONS = 128
_OPEN_SHARES = (0.5, 0.8)
# About a second of work for two cores.
_TEXTS_A_WINDOW = 1_024


class Kind(StrEnum):
    """What `--only` chooses by."""

    GRPC = "grpc"
    STREAM = "stream"
    REST = "rest"
    BULK = "bulk"  # REST with many texts a call
    WRK = "wrk"  # REST, by another load generator
    INTERACTIVE = "interactive"  # single texts while bulk calls saturate the service
    MODELS = "models"  # 200 models with memory for 20


@dataclass(frozen=True, slots=True)
class Scenario:
    """One line of the table."""

    kind: Kind
    way: Way
    corpus: str
    callers: int  # calls under way at the same time, at most
    connections: int
    texts_per_call: int = 1
    ceiling_share: float | None = None  # arrivals, as a share of the ceiling; none: closed loop

    @property
    def name(self) -> str:
        """As the table has it."""
        if self.kind is Kind.WRK:
            return f"{self.way}, by wrk"
        several = f", {self.texts_per_call} texts a call" if self.texts_per_call > 1 else ""
        return f"{self.way}{several}"

    @property
    def loop(self) -> str:
        """As the table has it."""
        if self.ceiling_share is None:
            return "closed"
        return f"open, {self.ceiling_share:.0%} of the ceiling"

    @property
    def rounds(self) -> int:
        """How many times as long as others it is measured.

        Calls that share the service end together: with thousands of texts under way a window of
        the usual length may see none of them end.
        """
        return max(1, self.callers * self.texts_per_call // _TEXTS_A_WINDOW)

    @property
    def depth(self) -> int:
        """Calls under way on each connection."""
        return self.callers // self.connections


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    measure_s: float  # of each scenario
    warm_up_s: float
    interactive_s: float
    sentences: int  # texts in the corpora
    mixed: int
    search_share: float  # of a corpus, with which every setting of the ceiling is tried
    many_models: ManyModelsLoad


FULL = Size(5.0, 1.0, 14.0, 2_000, 400, 0.3, ManyModelsLoad(200, 20, 300))
QUICK = Size(3.0, 0.5, 8.0, 1_000, 200, 0.3, ManyModelsLoad(50, 10, 100))
# 32 texts are the least that a bulk call needs.
SMOKE = Size(0.4, 0.1, 0.5, 64, 32, 0.5, ManyModelsLoad(4, 2, 8))


def scenarios(kinds: Collection[Kind], connections: Collection[int]) -> list[Scenario]:
    """The scenarios of these kinds, but for the interactive ones and that of many models.

    Args:
        kinds: wanted.
        connections: of the closed loops on the sentences, out of `CONNECTIONS`.
    """
    single = [(Kind.GRPC, Way.GRPC), (Kind.REST, Way.REST)]
    found = [
        Scenario(kind, way, "sentences", callers, _connections(kind, callers), texts)
        for kind, way, texts in (
            (Kind.GRPC, Way.GRPC, 1),
            (Kind.STREAM, Way.STREAM, 1),
            (Kind.REST, Way.REST, 1),
            (Kind.BULK, Way.REST, _BULK_TEXTS),
        )
        for callers in connections
    ]
    if set(connections) == set(CONNECTIONS):
        found += [
            Scenario(kind, way, "sentences", _OPEN_CONNECTIONS, _OPEN_CONNECTIONS, 1, share)
            for kind, way in single
            for share in _OPEN_SHARES
        ]
        found += [Scenario(kind, way, "mixed", 32, 32) for kind, way in single]
    found += [Scenario(Kind.WRK, Way.REST, "sentences", max(connections), max(connections))]
    return [scenario for scenario in found if scenario.kind in kinds]


def _connections(kind: Kind, callers: int) -> int:
    return min(callers, _MOST_STREAMS) if kind is Kind.STREAM else callers
